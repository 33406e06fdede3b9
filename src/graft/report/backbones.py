"""Measurements of `graft backbones compare` -> one comparison, as a table and in words."""

from collections.abc import Mapping, Sequence
from math import nan, prod
from typing import Any

import numpy as np

from graft.evaluation.out_of_fold import compare_answers, find_front
from graft.report.tables import Cell, Column, Table, mark
from graft.report.words import describe_test, percent

Row = Mapping[str, Any]
TESTS = (
    "Each was answered by a logistic regression (linear) that was fitted on others; p is of McNemar's exact "
    "test over the images on which exactly one of two backbones is right. A speed that is not there was not "
    "measured, as the features came from the cache."
)


def compare_backbones(measured: Mapping[str, Any], linear: Mapping[str, Any], confidence: float) -> list[Row]:
    """Compare the backbones that were measured with the present parameters of `linear`.

    Args:
        measured: name -> what `graft.tuning.backbones.measure` gave, all on the same images.
        linear: its block of params.yaml.
        confidence: of the intervals.

    Returns:
        The measurements, the most accurate first, each with what `compare_answers` gave and ``front``: of
        ``speed`` and ``size`` those on whose Pareto front with the accuracy it is.
    """
    rows = {name: row for name, row in measured.items() if row["recipe"]["linear"] == linear}
    right = {name: np.array([*row["right"]], int) / row["recipe"]["repeats"] for name, row in rows.items()}
    compared = compare_answers(right, confidence)
    accuracies = {name: one["accuracy"] for name, one in compared.items()}
    timed = {name: -row["images_per_second"] for name, row in rows.items() if row["images_per_second"]}
    sizes = {name: round(row["bytes"] / 1e6, 1) for name, row in rows.items()}  # as they are shown
    fronts = {"speed": find_front(accuracies, timed), "size": find_front(accuracies, sizes)}
    return [
        {**rows[name], **one, "front": [what for what, front in fronts.items() if name in front]}
        for name, one in compared.items()
    ]


def tabulate(rows: Sequence[Row], confidence: float) -> Table:
    """One row a backbone: what `compare_backbones` gave."""
    level = f"{100 * confidence:g} %"
    tests = [f"{row['test']['p_value_holm']:.2g}" if row["test"] else "-" for row in rows]
    speeds = [row["images_per_second"] or nan for row in rows]
    sizes = [row["bytes"] / 1e6 for row in rows]
    fronts = [", ".join(row["front"]) or "-" for row in rows]
    dimensions = [f"{prod(row['shape']):,}" for row in rows]
    intervals = [f"{percent(row['low'])}-{percent(row['high'])}" for row in rows]
    pixels = [str(row["recipe"]["row"]["image_size"]) for row in rows]
    return Table(
        "backbone",
        [row["backbone"] for row in rows],
        [
            Column("weights", [Cell(row["recipe"]["weights"]) for row in rows]),
            Column("input, pixels", [*map(Cell, pixels)], "input\npx"),
            Column("accuracy, %", mark([row["accuracy"] for row in rows], percent, max), "acc.\n%"),
            Column(f"{level} interval", [*map(Cell, intervals)], f"{level}\ninterval"),
            Column("p against the best (Holm)", [*map(Cell, tests)], "p\n(Holm)"),
            Column("images/s", mark(speeds, _significant, max), "images\n/s"),
            Column("numbers in a feature", [*map(Cell, dimensions)], "dim."),
            Column("parameters, M", mark([row["parameters"] / 1e6 for row in rows], "{:.2f}".format, min)),
            Column("file, MB", mark(sizes, "{:.1f}".format, min), "file\nMB"),
            Column("Pareto front of", [*map(Cell, fronts)], "Pareto\nfront"),
        ],
    )


def describe(rows: Sequence[Row], confidence: float) -> list[str]:
    """Say whether each backbone differs from the best, and of one that does not, what speaks for it."""
    best, *others = rows
    tests = [
        describe_test(row["test"], 1 - confidence) + _advantages(row, best, confidence) for row in others
    ]
    first = f"{best['backbone']} is right most often: {percent(best['accuracy'])} %."
    return [first, *tests] if others else []


def _advantages(row: Row, best: Row, confidence: float) -> str:
    """The end of a sentence: what a backbone without a significant difference has over the best."""
    speed, slower = row["images_per_second"], best["images_per_second"]
    size = round(100 * row["bytes"] / best["bytes"])
    found = [f"embeds {speed / slower:.1f} x as fast"] if speed and slower and speed > slower else []
    found += [f"has {size} % of the file's size"] if size < 100 else []
    if not found or row["test"]["p_value_holm"] < 1 - confidence:
        return "."
    return f"; {row['backbone']} {' and '.join(found)}."


def _significant(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
