"""The findings of `graft curate` -> their own page, sentences and a table; the report links to the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.curation.findings import Findings
from graft.evaluation.confusion import PAIRS
from graft.report.rendering import render
from graft.report.tables import Cell, Column, Table
from graft.report.thumbnails import make_thumbnail
from graft.report.words import percent

SECTIONS = {
    "suspects": "Labels that may be wrong",
    "duplicates": "Near-duplicates",
    "outliers": "Images unlike any other",
    "overlaps": "Classes that overlap",
}
LEAKAGE = "Test accuracy with and without the test images that resemble one of train or validation"


def list_shown(findings: Findings, n: int) -> dict[str, list[dict[str, Any]]]:
    """List the first `n` rows of each table of images, which the page shows."""
    return {
        name: getattr(findings, name).head(n).to_dict("records")
        for name in ("suspects", "duplicates", "outliers")
    }


def list_keys(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """List the keys of all images that `list_shown` gave, sorted."""
    rows = [row for table in shown.values() for row in table]
    return sorted({row[name] for row in rows for name in ("key", "other_key") if name in row})


def build_page(
    findings: Findings,
    leakage: Sequence[Mapping[str, Any]],
    shown: Mapping[str, Sequence[Mapping[str, Any]]],
    images: Mapping[str, bytes],
    dataset: str,
) -> str:
    """Build the page of a dataset.

    Args:
        findings: all of them.
        leakage: what `graft.curation.leakage.measure_leakage` gave; empty where nothing leaked.
        shown: what `list_shown` gave.
        images: key -> encoded image, of those shown.
        dataset: its name.
    """
    summary = findings.summarise()
    values = {
        "dataset": dataset,
        "contents": SECTIONS,
        "sentences_of": describe(summary),
        "shown": shown,
        "n_more": {name: len(getattr(findings, name)) - len(rows) for name, rows in shown.items()},
        "leakage": tabulate_leakage(leakage),
        "leakage_caption": LEAKAGE,
        "overlaps": tabulate_overlaps(findings),
        "images": {key: make_thumbnail(image) for key, image in images.items()},
        "percent": percent,
    }
    return render("curate.html.j2", values)


def describe(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """Describe what `Findings.summarise` counted: section -> sentences."""
    n_images, suspects = summary["n_images"], summary["n_suspects"]
    n, n_reviewed = sum(n_images.values()), summary["n_reviewed"]
    of_test = f", {suspects['test']:,} of them in test" if suspects["test"] else ""
    return {
        "suspects": [
            f"{_count(sum(suspects.values()), 'label')} of {n:,} may be wrong{of_test}.",
            *[f"{_count(n_reviewed, 'image')} of edits.csv would be suggested, too."] * bool(n_reviewed),
        ],
        "duplicates": [
            f"{_count(summary['n_duplicates'], 'pair')} of images may be one, {summary['n_across']:,} of them "
            "across splits.",
            f"{_count(summary['n_leaked'], 'image')} of test may be in train or validation.",
        ],
        "outliers": [f"{_count(summary['n_outliers'], 'image')} of {n:,} unlike all others."],
        "overlaps": [
            f"{percent(summary['accuracy'])} % of train and validation are answered right by a linear that has "
            "not seen the image."
        ],
    }


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def tabulate_leakage(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a method: the accuracy on all test images, and on those that are in no other split."""
    columns = [
        Column(f"{header}, %", [Cell(_with_interval(row[part])) for row in rows])
        for part, header in (("all", "all test images"), ("without", "without near-duplicates"))
    ]
    return Table("method", [row["method"] for row in rows], columns)


def _with_interval(one: Mapping[str, float]) -> str:
    return f"{percent(one['accuracy'])} ({percent(one['low'])}-{percent(one['high'])}) of {one['n']:,}"


def tabulate_overlaps(findings: Findings) -> Table:
    """One row a pair of classes that were taken for each other, the most frequent first."""
    rows = findings.overlaps.head(PAIRS).to_dict("records")
    return Table(
        "class",
        [row["true"] for row in rows],
        [
            Column("taken for", [Cell(row["predicted"]) for row in rows]),
            Column("images", [Cell(f"{row['n']:,}") for row in rows]),
            Column("of the class, %", [Cell(percent(row["n"] / row["support"])) for row in rows]),
        ],
    )
