"""A comparison as text for a terminal of 80 columns: `graft table`."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from graft.report.costs import Timing, notes_on_cache
from graft.report.tables import Cell, Table, compare_methods
from graft.report.words import TESTS, describe_seeds, describe_tests, explain_seeds, warn_untrained


def print_comparison(comparison: Mapping[str, Any], timing: Timing, console: Console) -> None:
    """Print one row a method, the best of each column starred, then the tests and the seeds in words.

    The comparison is what `graft.evaluation.compare.compare` gave; 80 columns are enough.
    """
    rows = comparison["methods"]
    console.print(build_table(compare_methods(comparison, timing)))
    pretrained = {row["backbone"]: row["weights"] for row in rows if row["pretrained"]}
    _print(f"{rows[0]['n_seen_test']:,} test images; * best of its column.", console)
    for name, weights in pretrained.items():
        _print(f"Backbone {name}, weights {weights}.", console)
    for note in [*warn_untrained(rows), *notes_on_cache(timing)]:
        _print(note, console)
    if comparison["pairs"]:
        _print_list(TESTS, describe_tests(comparison), console)
    if any(row["n_seeds"] > 1 for row in rows):
        _print_list(explain_seeds(comparison["confidence"]), describe_seeds(comparison), console)


def build_table(table: Table) -> RichTable:
    """The columns that have a short header; ``*`` marks the best of a column."""
    shown = [column for column in table.columns if column.short]
    built = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    built.add_column(table.header, overflow="fold")
    for column in shown:
        built.add_column(column.short, justify="right", overflow="fold")
    for row in zip(table.names, *(map(_show, column.cells) for column in shown), strict=True):
        built.add_row(*row)
    return built


def _show(cell: Cell) -> Text:
    return Text(f"*{cell.text}", style="bold green") if cell.best else Text(cell.text)


def _print_list(title: str, lines: Iterable[str], console: Console) -> None:
    _print(f"\n{title}", console)
    for line in lines:
        console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def _print(line: str, console: Console) -> None:
    console.print(Text(line))
