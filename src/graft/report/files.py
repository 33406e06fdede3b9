"""The model files of the methods and their exports -> a table of what can be taken away."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.report.tables import Cell, Column, Table
from graft.report.words import percent

HEADERS = ("runs in", "precision", "MB", "test accuracy, %", "other answers than Keras", "images/s", "check")
Exports = Mapping[str, Sequence[Mapping[str, Any]]]


def list_files(methods: Sequence[Mapping[str, Any]], exports: Exports) -> Table:
    """One row a file: the Keras model of each method, then its exports with what their check found.

    Args:
        methods: rows of the comparison.
        exports: method -> what `graft.export.records.read_exports` gave.
    """
    rows: dict[str, tuple[str, ...]] = {}
    for row in methods:
        folder = f"models/{row['method']}"
        size, accuracy = f"{row['model_bytes'] / 1e6:.1f}", percent(row["test_accuracy"])
        rows[f"{folder}/model.keras"] = ("keras", "float32", size, accuracy, "-", "-", "-")
        for each in exports.get(row["method"], ()):
            rows[f"{folder}/{each['file']}"] = _describe(each)
    columns = zip(HEADERS, zip(*rows.values(), strict=True), strict=True)
    return Table("file", list(rows), [Column(header, list(map(Cell, texts))) for header, texts in columns])


def _describe(record: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        record["format"],
        record["precision"],
        f"{record['bytes'] / 1e6:.1f}",
        percent(record["accuracy"]),
        f"{record['differing_answers']} of {record['n_images']:,}",
        f"{record['images_per_second']['1']:,.0f}",
        "passed" if record["passed"] else "not passed, kept by --force",
    )
