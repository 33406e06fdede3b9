"""Values -> the cells of the page's tables."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from statistics import mean, stdev
from typing import Any, NamedTuple

import pandas as pd

from graft.config.types import SPLITS
from graft.report.costs import Timing, Value, show_seconds, split_seconds
from graft.report.words import percent

Show = Callable[[float], str]


class Cell(NamedTuple):
    """A cell: its text, and whether it is the best of its column."""

    text: str
    best: bool = False


class Table(NamedTuple):
    """A table: the headers of its columns, and per row a header and the other cells."""

    headers: list[str]
    rows: list[tuple[str, list[Cell]]]


def compare_methods(comparison: Mapping[str, Any], timing: Timing) -> Table:
    """One row a method: accuracy, parameters, size, images embedded, seconds; "-" where unknown.

    Args:
        comparison: what `graft.evaluation.compare.compare` gave.
        timing: stage -> seconds; a stage may be missing.
    """
    rows = comparison["methods"]
    level = f"{100 * comparison['confidence']:g} % interval"
    interval = [f"{percent(row['test_accuracy_low'])}-{percent(row['test_accuracy_high'])}" for row in rows]
    columns = {
        "test accuracy, %": _mark([row["test_accuracy"] for row in rows], percent, max),
        level: [Cell(text) for text in interval],
    }
    if any(row["n_seeds"] > 1 for row in rows):
        means = _mark([row["test_accuracy_mean"] for row in rows], percent, max)
        columns["mean ± sd of the seeds"] = [
            _spread(cell, row) for cell, row in zip(means, rows, strict=True)
        ]
    columns |= {
        "validation accuracy, %": _mark([row["validation_accuracy"] for row in rows], percent, max),
        "trainable parameters": _mark([row["trainable_params"] for row in rows], _millions, min),
        "all parameters": _mark([row["total_params"] for row in rows], _millions, min),
        "model, MB": _mark([row["model_bytes"] / 1e6 for row in rows], "{:.1f}".format, min),
        "images embedded": _mark([row["images_embedded"] for row in rows], "{:,}".format, min),
    }
    seconds = [split_seconds(row["method"], timing) for row in rows]
    columns["seconds to prepare"] = _mark([first for first, _ in seconds], show_seconds, min)
    columns["seconds to train"] = _mark([second for _, second in seconds], show_seconds, min)
    return _transpose(["method", *columns], [row["method"] for row in rows], list(columns.values()))


def _spread(cell: Cell, row: Mapping[str, Any]) -> Cell:
    sd = row["test_accuracy_std"]
    return Cell("one seed") if sd is None else cell._replace(text=f"{cell.text} ± {percent(sd)}")


def measure_methods(measured: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """One row a method: macro F1, ROC AUC, log loss and calibration error on the test images.

    Args:
        measured: method -> for each seed what `graft.evaluation.metrics.measure_split` gave.
    """
    columns: dict[str, tuple[Callable[[Mapping[str, Any]], float], Show, Callable[..., float]]] = {
        "macro F1, %": (_macro_f1, percent, max),
        "ROC AUC": (itemgetter("roc_auc"), "{:.3f}".format, max),
        "log loss, nats": (itemgetter("log_loss"), "{:.3f}".format, min),
        "calibration error, %": (itemgetter("ece"), percent, min),
    }
    cells = [
        _mark_means([[measure(one) for one in seeds] for seeds in measured.values()], show, best)
        for measure, show, best in columns.values()
    ]
    return _transpose(["method", *columns], list(measured), cells)


def measure_classes(measured: Mapping[str, Sequence[Mapping[str, Any]]], quantity: str) -> Table:
    """One row a class: its test images, then of each method a quantity in percent.

    Args:
        measured: method -> for each seed what `graft.evaluation.metrics.measure_split` gave.
        quantity: ``precision``, ``recall`` or ``f1``.
    """
    rows = []
    for number, one in enumerate(next(iter(measured.values()))[0]["per_class"]):
        values = [[seed["per_class"][number][quantity] for seed in seeds] for seeds in measured.values()]
        cells = [Cell(f"{one['support']:,}"), *_mark_means(values, percent, max)]
        rows.append((one["label"], cells))
    return Table(["class", "test images", *measured], rows)


def count_images(manifest: pd.DataFrame) -> Table:
    """One row a class, and one of all: how many images each split has."""
    counts = pd.crosstab(manifest["label"], manifest["split"]).reindex(columns=list(SPLITS), fill_value=0)
    rows = [
        (str(label), list(numbers)) for label, numbers in zip(counts.index, counts.to_numpy(), strict=True)
    ]
    rows.append(("all classes", list(counts.sum())))
    cells = [(label, [Cell(f"{n:,}") for n in (*numbers, sum(numbers))]) for label, numbers in rows]
    return Table(["class", *SPLITS, "all"], cells)


def _macro_f1(measured: Mapping[str, Any]) -> float:
    return float(mean(one["f1"] for one in measured["per_class"]))


def _transpose(headers: list[str], names: Sequence[str], columns: Sequence[Sequence[Cell]]) -> Table:
    rows = [list(cells) for cells in zip(*columns, strict=True)]
    return Table(headers, list(zip(names, rows, strict=True)))


def _mark_means(values: Sequence[Sequence[float]], show: Show, best: Callable[..., float]) -> list[Cell]:
    """Of several seeds the mean and the standard deviation."""
    cells = _mark([mean(seeds) for seeds in values], show, best)
    return [
        cell._replace(text=f"{cell.text} ± {show(stdev(seeds))}") if len(seeds) > 1 else cell
        for cell, seeds in zip(cells, values, strict=True)
    ]


def _mark(values: Sequence[Value], show: Show, best: Callable[..., float]) -> list[Cell]:
    """Each value as text, the best marked as it is shown: equal texts are equally good."""
    texts = ["-" if value is None else show(value) for value in values]
    known = [value for value in values if value is not None]
    winner = show(best(known)) if len(set(texts) - {"-"}) > 1 else None
    return [Cell(text, text == winner) for text in texts]


def _millions(value: float) -> str:
    return f"{value / 1e6:.2f} M" if value < 1e7 else f"{value / 1e6:.1f} M"
