"""The findings of `graft monitor` -> tables; the sentences come with them."""

from collections.abc import Mapping
from typing import Any

from graft.evaluation.confusion import FEW
from graft.report.tables import Cell, Column, Table
from graft.report.words import percent

NAMES = {
    "components": "principal components of the features",
    "kernel": "the features as a whole",
    "classes": "predicted classes",
    "confidence": "confidence",
}


def tabulate_tests(drift: Mapping[str, Any]) -> Table:
    """One row a test: its result, the size of the difference and the p-value."""
    tests = drift["tests"]
    return Table(
        "compared",
        [NAMES[test["name"]] for test in tests],
        [
            Column("result", [Cell("changed" if test["changed"] else "within chance") for test in tests]),
            Column("difference", [Cell(f"{test['statistic']:.3f}") for test in tests]),
            Column("p (Holm)", [Cell(f"{test['p_value_holm']:.2g}") for test in tests]),
        ],
    )


def tabulate_classes(drift: Mapping[str, Any]) -> Table:
    """One row a class, at most `FEW`, those whose share differs most first: the shares predicted."""
    rows = sorted(drift["classes"], key=lambda row: -abs(row["share"] - row["reference"]))[:FEW]
    return Table(
        "class",
        [row["label"] for row in rows],
        [
            Column("share of the requests, %", [Cell(percent(row["share"])) for row in rows]),
            Column("interval", [Cell(f"{percent(row['low'])}-{percent(row['high'])}") for row in rows]),
            Column("share of validation and test, %", [Cell(percent(row["reference"])) for row in rows]),
        ],
    )
