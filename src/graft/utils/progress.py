"""Progress of a loop: a live bar on a terminal; elsewhere (a log, CI) a line each minute."""

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from rich import progress
from rich.console import Console
from rich.table import Column
from rich.text import Text

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 60.0


def is_live() -> bool:
    """True if bars are shown: stderr is a terminal."""
    return sys.stderr.isatty()


class _Pace(progress.ProgressColumn):
    """Units per second, and the time that remains."""

    def render(self, task: progress.Task) -> Text:
        speed, left = task.finished_speed or task.speed, task.time_remaining
        if speed is None:
            return Text(str(task.fields["unit"]))
        rate = f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"
        remains = "" if left is None else f", {timedelta(seconds=int(left))} left"
        return Text(f"{rate} {task.fields['unit']}/s{remains}")


class Bar:
    """A bar on stderr: how far a loop is, its rate and what remains. It goes when its block is left.

    >>> with Bar("images") as bar:
    ...     bar.begin("prepare", total=2)
    ...     bar.advance(2)
    """

    def __init__(self, unit: str) -> None:
        columns = (
            "{task.description}",
            progress.BarColumn(None, table_column=Column(ratio=1, min_width=4)),
            progress.MofNCompleteColumn(table_column=Column(no_wrap=True)),
            _Pace(table_column=Column(no_wrap=True)),
            "{task.fields[note]}",
        )
        self._live = is_live()
        self._progress = progress.Progress(
            *columns,
            expand=True,
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            disable=not self._live,
        )
        self._id = self._progress.add_task("", total=None, unit=unit, note="")
        self._said = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, description: str, total: int | None) -> None:
        """Show a loop of `total` units, None where that is unknown, in place of any loop before."""
        self._progress.reset(self._id, description=description, total=total)
        self._progress.start()

    def advance(self, n: int = 1) -> None:
        """Count `n` more units."""
        self._progress.advance(self._id, n)
        if not self._live and monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def note(self, note: str) -> None:
        """Show a few words beside the count."""
        self._progress.update(self._id, note=note)

    def describe(self, description: str) -> None:
        """Say what is being done now."""
        self._progress.update(self._id, description=description)

    def _line(self) -> str:
        task = self._progress.tasks[self._id]
        of = "" if task.total is None else f" of {task.total:,.0f}"
        pace = Text.assemble(_Pace().render(task), f" {task.fields['note']}").plain.rstrip()
        return f"{task.description}: {task.completed:,.0f}{of} {task.fields['unit']}, {pace}"


def track(
    iterable: Iterable[T],
    description: str,
    total: int | None = None,
    unit: str = "images",
    count: Callable[[T], int] = lambda _: 1,
) -> Iterator[T]:
    """Yield the items of an iterable and show on stderr how far it is.

    Args:
        iterable: the items.
        description: what is being done, such as the stage's name.
        total: how many units there will be in all; unknown: ``None``.
        unit: what is counted.
        count: the number of units in an item, such as ``len`` for batches.
    """
    with Bar(unit) as bar:
        bar.begin(description, total)
        for item in iterable:
            yield item
            bar.advance(count(item))
