"""The findings of `graft curate` -> sentences and a table, for the report and for their own page."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.report.tables import Cell, Column, Table
from graft.report.words import count, percent

LEAKAGE = "Test accuracy with and without the test images that resemble one of train or validation"


def describe(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """Describe what `Findings.summarise` counted: section -> sentences."""
    n_images, suspects = summary["n_images"], summary["n_suspects"]
    n, n_reviewed = sum(n_images.values()), summary["n_reviewed"]
    of_test = f", {suspects['test']:,} of them in test" if suspects["test"] else ""
    return {
        "suspects": [
            f"{count(sum(suspects.values()), 'label')} of {n:,} may be wrong{of_test}.",
            *[f"{count(n_reviewed, 'image')} of edits.csv would be suggested, too."] * bool(n_reviewed),
        ],
        "duplicates": [
            f"{count(summary['n_duplicates'], 'pair')} of images may be one, "
            f"{summary['n_across']:,} of them across splits.",
            f"{count(summary['n_leaked'], 'image')} of test may be in train or validation.",
        ],
        "outliers": [f"{count(summary['n_outliers'], 'image')} of {n:,} unlike all others."],
        "overlaps": [
            f"A linear that has not seen the image is right on {percent(summary['accuracy'])} % of train and "
            "validation."
        ],
    }


def tabulate_leakage(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a method: the accuracy on all test images, and on those that are in no other split."""
    columns = [
        Column(f"{header}, %", [Cell(_with_interval(row[part])) for row in rows])
        for part, header in (("all", "all test images"), ("without", "without near-duplicates"))
    ]
    return Table("method", [row["method"] for row in rows], columns)


def _with_interval(one: Mapping[str, float]) -> str:
    return f"{percent(one['accuracy'])} ({percent(one['low'])}-{percent(one['high'])}) of {one['n']:,}"
