"""The results as text for a terminal of 80 columns: `graft table`, and the end of a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from graft.methods.registry import METHODS
from graft.report.costs import Timing, add_members, notes_on_cache
from graft.report.current import Current
from graft.report.gains import describe_views, tabulate_views
from graft.report.tables import Cell, Table, compare_methods
from graft.report.words import (
    BALANCE,
    TESTS,
    describe_balance,
    describe_means,
    describe_seeds,
    describe_tests,
    explain_seeds,
    warn_untrained,
)


def print_table(current: Current, timing: Timing, console: Console) -> None:
    """Print the dataset, backbone and experiment, then one row a method; 80 columns are enough."""
    rows = current.comparison["methods"]
    if not rows:
        _print("No result is of these parameters: `dvc repro` computes them, `graft back` returns.", console)
        return
    timing = add_members(timing, current.comparison["members"])
    _print(_title(current), console)
    known = {*current.others, *(row["method"] for row in rows)}
    shown = [name for name in METHODS if name in known]
    console.print(build_table(compare_methods(current.comparison, timing), shown))
    blank = f"; {', '.join(current.others)}: not run with these parameters" if current.others else ""
    _print(f"{rows[0]['n_seen_test']:,} test images; * best of its column{blank}.", console)
    for note in [*warn_untrained(rows), *notes_on_cache(timing)]:
        _print(note, console)
    if balance := describe_balance(rows):
        _print_list(BALANCE, balance, console)
    if "tta" in current.comparison:
        _print_views(current.comparison, timing, console)


def _print_views(comparison: Mapping[str, Any], timing: Timing, console: Console) -> None:
    tta = comparison["tta"]
    _print(f"\nThe mean scores of each image and {tta['tta']} views of it (predict.tta)", console)
    console.print(build_table(tabulate_views(tta), [row["method"] for row in tta["methods"]]))
    cost, *tests = describe_views(tta, comparison["confidence"], timing)
    _print_list(cost, tests, console)


def print_tests(current: Current, console: Console) -> None:
    """Print the paired tests and the seeds in words."""
    comparison = current.comparison
    if comparison["pairs"]:
        _print_list(TESTS, [*describe_tests(comparison), *describe_means(comparison)], console)
    if any(row["n_seeds"] > 1 for row in comparison["methods"]):
        _print_list(explain_seeds(comparison["confidence"]), describe_seeds(comparison), console)


def _title(current: Current) -> str:
    """`Dataset demo, backbone vgg19, weights imagenet, experiment wide`, as far as they are known."""
    rows = [row for row in current.comparison["methods"] if row["backbone"] != "none"]
    found = [("dataset", current.dataset)]
    found += [(key, ", ".join(dict.fromkeys(row[key] for row in rows))) for key in ("backbone", "weights")]
    found.append(("experiment", current.experiment))
    text = ", ".join(f"{name} {value}" for name, value in found if value)
    return text[:1].upper() + text[1:]


def build_table(table: Table, names: Sequence[str]) -> RichTable:
    """The columns that have a short header; ``*`` marks the best of a column.

    `names` are those of the rows in order; one that the table lacks has an empty row.
    """
    shown = [column for column in table.columns if column.short]
    built = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    built.add_column(table.header, overflow="fold")
    for column in shown:
        built.add_column(column.short, justify="right", overflow="fold")
    cells = {name: [*map(_show, row)] for name, row in table._replace(columns=shown).rows}
    for name in names:
        built.add_row(name, *cells.get(name, ["-"] * len(shown)))
    return built


def _show(cell: Cell) -> Text:
    return Text(f"*{cell.text}", style="bold green") if cell.best else Text(cell.text)


def _print_list(title: str, lines: Iterable[str], console: Console) -> None:
    _print(f"\n{title}", console)
    for line in lines:
        console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))


def _print(line: str, console: Console) -> None:
    console.print(Text(line))
