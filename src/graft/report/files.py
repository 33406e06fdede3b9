"""The model files of the methods and their exports -> a table of what can be taken away."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.export.records import show_megabytes
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
        size, accuracy = show_megabytes(row["model_bytes"]), percent(row["test_accuracy"])
        rows[f"{folder}/model.keras"] = ("keras", "float32", size, accuracy, "-", "-", "-")
        for each in exports.get(row["method"], ()):
            rows[f"{folder}/{each['file']}"] = _describe(each)
    columns = zip(HEADERS, zip(*rows.values(), strict=True), strict=True)
    return Table("file", list(rows), [Column(header, list(map(Cell, texts))) for header, texts in columns])


def _describe(record: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        record["format"],
        record["precision"],
        show_megabytes(record["bytes"]),
        percent(record["accuracy"]),
        f"{record['differing_answers']} of {record['n_images']:,}",
        f"{record['images_per_second']['1']:,.0f}",
        "passed" if record["passed"] else "not passed, kept by --force",
    )


def compare_to_teachers(facts: Mapping[str, Mapping[str, Any]], exports: Exports) -> list[str]:
    """A sentence on each file of a method with a teacher, beside the teacher's of that format and precision.

    Args:
        facts: method -> those of its predictions, with the name of its ``teacher``, if it has one.
        exports: as of `list_files`.
    """
    pairs = [
        (method, own, of["teacher"], other)
        for method, of in facts.items()
        for own in exports.get(method, ())
        for other in exports.get(of.get("teacher", ""), ())
        if (own["format"], own["precision"]) == (other["format"], other["precision"])
    ]
    return [
        f"{method} in {own['format']} {own['precision']}: {_measure(own)}; its teacher {teacher}: "
        f"{_measure(other)}. It is {other['bytes'] / own['bytes']:.1f} times smaller and "
        f"{_speed(own) / _speed(other):.1f} times as fast on one thread."
        for method, own, teacher, other in pairs
    ]


def _measure(record: Mapping[str, Any]) -> str:
    return (
        f"{show_megabytes(record['bytes'])} MB, {_speed(record):,.0f} images/s, test accuracy "
        f"{percent(record['accuracy'])} %"
    )


def _speed(record: Mapping[str, Any]) -> float:
    return float(record["images_per_second_one_thread"]["1"])
