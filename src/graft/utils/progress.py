"""Progress of a loop: a bar on a terminal, one line at the end elsewhere (a log, CI)."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich import progress
from rich.console import Console
from rich.text import Text

T = TypeVar("T")


class _Rate(progress.ProgressColumn):
    """Units per second."""

    def render(self, task: progress.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {task.fields['unit']}/s")


def track(
    iterable: Iterable[T],
    description: str,
    total: int | None = None,
    unit: str = "images",
    count: Callable[[T], int] = lambda _: 1,
) -> Iterator[T]:
    """Yield the items of an iterable and show on stderr how far it is, its rate and what remains.

    Args:
        iterable: the items.
        description: what is being done, such as the stage's name.
        total: how many units there will be in all; unknown: ``None``.
        unit: what is counted.
        count: the number of units in an item, such as ``len`` for batches.
    """
    terminal = sys.stderr.isatty()
    columns = (
        "{task.description}",
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        _Rate(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), disable=not terminal) as bar:
        task = bar.add_task(description, total=total, unit=unit)
        for item in iterable:
            yield item
            bar.advance(task, count(item))
    if not terminal:
        done, seconds = int(bar.tasks[task].completed), bar.tasks[task].elapsed or 0
        of = "" if total in (None, done) else f" of {total:,}"
        rate = f"{done / max(seconds, 1e-9):,.0f} {unit}/s"
        print(f"{description}: {done:,}{of} {unit}, {rate}", file=sys.stderr)
