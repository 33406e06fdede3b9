"""The findings of `graft curate` -> their own page: one HTML file that needs no other and no script."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.curation.findings import Findings
from graft.evaluation.confusion import PAIRS
from graft.report.curation import LEAKAGE, describe, tabulate_leakage
from graft.report.tables import Cell, Column, Table
from graft.report.templates import render
from graft.report.thumbnails import make_thumbnail
from graft.report.words import percent

SECTIONS = {
    "suspects": "Labels that may be wrong",
    "duplicates": "Near-duplicates",
    "outliers": "Images unlike any other",
    "overlaps": "Classes that overlap",
}


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
