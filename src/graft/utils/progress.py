"""Progress of a loop: a bar on a terminal, one line at the end elsewhere (a log, CI)."""

import sys
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


class _Rate(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
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
    show = _bar if sys.stderr.isatty() else _line
    return show(iterable, description, total, unit, count)


def _bar(
    iterable: Iterable[T], description: str, total: int | None, unit: str, count: Callable[[T], int]
) -> Iterator[T]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total, unit=unit)
        for item in iterable:
            yield item
            progress.advance(task, count(item))


def _line(
    iterable: Iterable[T], description: str, total: int | None, unit: str, count: Callable[[T], int]
) -> Iterator[T]:
    start, done = perf_counter(), 0
    for item in iterable:
        yield item
        done += count(item)
    rate = done / max(perf_counter() - start, 1e-9)
    of = "" if total in (None, done) else f" of {total:,}"
    print(f"{description}: {done:,}{of} {unit}, {rate:,.0f} {unit}/s", file=sys.stderr)
