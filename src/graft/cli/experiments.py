"""`graft experiments`: what differs between them, and what each method reached, in 80 columns."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.cli.repository import Root, fail, opened

if TYPE_CHECKING:
    from graft.report.experiments import Experiment

WIDTH, CELL = 80, 11  # of the table, of a method in it
LONGEST = 160  # characters of a difference in the table
INDENTED: Any = {"initial_indent": "  ", "subsequent_indent": "    ", "break_on_hyphens": False}
FIELDS = ("test", "low", "high", "validation", "test_mean", "validation_mean")


def experiments(
    root: Root = Path(),
    sort: Annotated[
        str | None,
        typer.Option(help="name, METHOD (by its test accuracy), METHOD.validation_mean, ..."),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a column for each number.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the experiments that began at HEAD: what differs, and the test accuracy of each method."""
    from dvc.api import exp_show

    from graft.report.experiments import read_experiments

    with opened(root) as repo:
        found = read_experiments(Path(repo.root_dir), exp_show(repo=repo.root_dir))
    key = sort or _choose_key(found)
    rows = _sort(found, key)
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in rows], indent=2, ensure_ascii=False))
    elif as_csv:
        _write_csv(rows)
    elif len(found) < 2:
        typer.echo("no experiment began at this commit: `graft run -S KEY=VALUE` makes one")
    else:
        for line in list_lines(rows):
            typer.echo(line)
        typer.echo(f"Test accuracy, %, and its interval; sorted by {key}.")
        typer.echo("-: not run with these parameters. Choose by validation: METHOD.validation_mean.")


def _choose_key(found: Sequence["Experiment"]) -> str:
    """The method whose accuracies differ most often."""
    from graft.methods.registry import METHODS

    distinct = {m: len({each.results[m]["test"] for each in found if m in each.results}) for m in METHODS}
    return max(distinct, key=lambda method: distinct[method])


def _sort(found: Sequence["Experiment"], key: str) -> list["Experiment"]:
    """Sort by name, or descending by an accuracy; experiments without it come last."""
    from graft.methods.registry import METHODS

    if key == "name":
        return sorted(found, key=lambda each: each.name)
    method, _, field = key.partition(".")
    if method not in METHODS or (field or "test") not in FIELDS:
        legal = f"name, {', '.join(METHODS)}, or one of these and .{', .'.join(FIELDS)}"
        fail(f"--sort={key!r}: expected {legal}")
    return sorted(found, key=lambda each: -each.results.get(method, {}).get(field or "test", -1))


def _write_csv(rows: Sequence["Experiment"]) -> None:
    from graft.methods.registry import METHODS

    writer = csv.writer(sys.stdout, lineterminator="\n")
    numbers = [(method, field) for method in METHODS for field in FIELDS]
    writer.writerow(["name", "rev", "state", "differs", *(".".join(number) for number in numbers)])
    for row in rows:
        values = [row.results.get(method, {}).get(field, "") for method, field in numbers]
        writer.writerow([row.name, row.rev, row.state, " ".join(row.differs), *values])


def list_lines(rows: Sequence["Experiment"]) -> Iterator[str]:
    """The table: below a name and the accuracies are their intervals, then what differs, over all columns."""
    from graft.methods.registry import METHODS

    heads = [_head(method) for method in METHODS]
    yield from _line("", [first for first, _ in heads])
    yield from _line("experiment", [last for _, last in heads])
    yield "─" * max(WIDTH, CELL * len(heads))
    for row in rows:
        name = f"{row.name} ({row.state})" if row.state else row.name
        results = [row.results.get(method) for method in METHODS]
        yield from _line(name, [_percent(one, "test") if one else "-" for one in results])
        if row.results:
            intervals = [f"{_percent(one, 'low')}-{_percent(one, 'high')}" if one else "" for one in results]
            yield from _line("", intervals)
        for each in row.differs:
            shown = each if len(each) <= LONGEST else f"{each[: LONGEST - 1]}…"
            yield from wrap(shown, WIDTH, **INDENTED)


def _line(name: str, cells: Sequence[str]) -> Iterator[str]:
    """The cells at the right, and the name beside them, or above if it is too long for that."""
    room = max(WIDTH - CELL * len(cells), 0)
    if len(name) >= room:
        yield from wrap(name, WIDTH)
        name = ""
    yield f"{name:{room}}{''.join(f'{cell:>{CELL}}' for cell in cells)}".rstrip()


def _head(method: str) -> tuple[str, str]:
    """Break the name of a method that is wider than its column."""
    first, _, last = method.rpartition("_") if len(method) >= CELL else ("", "", method)
    return first, f"_{last}" if first else last


def _percent(result: Mapping[str, float], field: str) -> str:
    return f"{100 * result[field]:.1f}"
