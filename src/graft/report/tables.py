"""Values -> tables: columns of text with the best marked, for the page and, if they fit, the terminal."""

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from statistics import mean, stdev
from typing import Any, NamedTuple

import pandas as pd

from graft.config.types import SPLITS
from graft.report.costs import Timing, measure_cost, show_seconds
from graft.report.words import percent

LISTED = 50  # files in a table of them
Show = Callable[[float], str]
Best = Callable[[Sequence[float]], float]
# Method -> for each seed what graft.evaluation.metrics.measure_split gave.
Measured = Mapping[str, Sequence[Mapping[str, Any]]]


class Cell(NamedTuple):
    """A cell: its text, and whether it is the best of its column."""

    text: str
    best: bool = False


class Column(NamedTuple):
    """A column: its header on the page, its cells, and its header in the terminal, where "" leaves it out."""

    header: str
    cells: Sequence[Cell]
    short: str = ""


class Table(NamedTuple):
    """A table: the header of its rows' names, these names, and the other columns."""

    header: str
    names: Sequence[str]
    columns: Sequence[Column]

    @property
    def rows(self) -> list[tuple[str, Sequence[Cell]]]:
        """Each row's name and cells."""
        cells = zip(*(column.cells for column in self.columns), strict=True)
        return list(zip(self.names, cells, strict=True))


def compare_methods(comparison: Mapping[str, Any], timing: Timing) -> Table:
    """One row a method: accuracy, parameters, size, images embedded, seconds; "-" where unknown.

    The comparison is what `graft.evaluation.compare.compare` gave.
    """
    frame, level = pd.DataFrame(comparison["methods"]), f"{100 * comparison['confidence']:g} %"
    ends = zip(frame["test_accuracy_low"], frame["test_accuracy_high"], strict=True)
    intervals = [Cell(f"{percent(low)}-{percent(high)}") for low, high in ends]
    by_seed = [comparison["test_accuracy_by_seed"][method] for method in frame["method"]]
    costs = [measure_cost(method, timing) for method in frame["method"]]
    prepare = [cost.once + cost.preparation for cost in costs]
    columns = [
        Column("test accuracy, %", mark(frame["test_accuracy"], percent, max), "test\n%"),
        Column(f"{level} interval", intervals, f"{level}\ninterval"),
        Column("mean ± sd of the seeds", _mark_means(by_seed, percent, max)),
        Column("validation accuracy, %", mark(frame["validation_accuracy"], percent, max), "valid.\n%"),
        Column("trainable parameters, M", mark(frame["trainable_params"], _millions, min), "train.\nM par."),
        Column("all parameters, M", mark(frame["total_params"], _millions, min), "all\nM par."),
        Column("model, MB", mark(frame["model_bytes"] / 1e6, "{:.1f}".format, min), "model\nMB"),
        Column("images embedded", mark(frame["images_embedded"], "{:,}".format, min), "images\nembed."),
        Column("seconds to prepare", mark(prepare, show_seconds, min), "sec.\nprep."),
        Column("seconds to train", mark([cost.training for cost in costs], show_seconds, min), "sec.\ntrain"),
    ]
    if "test_balanced_accuracy" in frame:
        balanced = mark(frame["test_balanced_accuracy"], percent, max)
        columns.insert(3, Column("balanced accuracy, %", balanced))
    if max(frame["n_seeds"]) == 1:
        del columns[2]
    return Table("method", list(frame["method"]), columns)


def measure_methods(measured: Measured) -> Table:
    """One row a method: macro F1, ROC AUC, log loss and calibration error on the test images."""

    def column(header: str, measure: Callable[[Any], float], show: Show, best: Best) -> Column:
        return Column(header, _mark_means([list(map(measure, one)) for one in measured.values()], show, best))

    columns = [
        column("macro F1, %", lambda one: mean(each["f1"] for each in one["per_class"]), percent, max),
        column("ROC AUC", lambda one: one["roc_auc"], "{:.3f}".format, max),
        column("log loss, nats", lambda one: one["log_loss"], "{:.3f}".format, min),
        column("calibration error, %", lambda one: one["ece"], percent, min),
    ]
    return Table("method", list(measured), columns)


def measure_classes(measured: Measured, quantity: str, shown: Sequence[str]) -> Table:
    """One row a class that is shown: its test images, then each method's quantity in percent."""
    of = {method: [_by_label(seed) for seed in seeds] for method, seeds in measured.items()}
    first = next(iter(of.values()))[0]
    marked = [
        _mark_means([[seed[label][quantity] for seed in seeds] for seeds in of.values()], percent, max)
        for label in shown
    ]
    columns = [Column("test images", [Cell(f"{first[label]['support']:,}") for label in shown])]
    columns += [Column(name, cells) for name, cells in zip(of, zip(*marked, strict=True), strict=True)]
    return Table("class", shown, columns)


def _by_label(measured: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {row["label"]: row for row in measured["per_class"]}


def count_images(counts: pd.DataFrame, shown: Sequence[str]) -> Table:
    """One row a class that is shown, and one of all: how many images each split has.

    Args:
        counts: as `count_by_split` gives them.
        shown: labels.
    """
    counts = counts.assign(all=counts.sum(axis=1))
    columns = [
        Column(str(split), [Cell(f"{n:,}") for n in (*of[list(shown)], of.sum())])
        for split, of in counts.items()
    ]
    return Table("class", [*shown, "all classes"], columns)


def count_pairs(confused: Mapping[str, pd.DataFrame], limit: int) -> Table:
    """One row a pair of classes taken for each other, the most frequent first: each method's test images.

    Args:
        confused: method -> what `graft.evaluation.confusion.count_confusions` gave.
        limit: rows at most.
    """
    ends, methods = ["true", "predicted"], list(confused)
    counts = pd.concat([pairs.set_index(ends)["n"] for pairs in confused.values()], axis=1, keys=methods)
    counts = counts.fillna(0).astype(int).sort_index()
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index[:limit]
    top = counts.loc[order]
    columns = [Column("predicted", [Cell(predicted) for _, predicted in order])]
    columns += [Column(method, [Cell(f"{n:,}") for n in top[method]]) for method in methods]
    return Table("true", [true for true, _ in order], columns)


def list_files(rows: Sequence[Mapping[str, str]], name: str, other: str) -> Table:
    """One row a file, as far as the page lists them: two columns of such records."""
    shown = rows[:LISTED]
    return Table(name, [row[name] for row in shown], [Column(other, [Cell(row[other]) for row in shown])])


def count_by_split(manifest: pd.DataFrame) -> pd.DataFrame:
    """The images of each class, sorted, in train, validation and test."""
    return pd.crosstab(manifest["label"], manifest["split"]).reindex(columns=list(SPLITS), fill_value=0)


def _mark_means(values: Sequence[Sequence[float]], show: Show, best: Best) -> list[Cell]:
    """The mean of several seeds with the standard deviation."""
    cells = mark([mean(seeds) for seeds in values], show, best)
    return [
        cell._replace(text=f"{cell.text} ± {show(stdev(seeds))}") if len(seeds) > 1 else cell
        for cell, seeds in zip(cells, values, strict=True)
    ]


def mark(values: Sequence[float] | pd.Series, show: Show, best: Best) -> list[Cell]:
    """Each value as text, NaN as "-", and the best marked as it is shown: equal texts are equally good.

    Examples:
        >>> mark([0.9404, 0.9396, float("nan"), 0.5], percent, max)[1:3]
        [Cell(text='94.0', best=True), Cell(text='-', best=False)]
    """
    texts = ["-" if isnan(value) else show(value) for value in values]
    known = [value for value in values if not isnan(value)]
    winner = show(best(known)) if len(set(texts) - {"-"}) > 1 else None
    return [Cell(text, text == winner) for text in texts]


def _millions(value: float) -> str:
    return f"{value / 1e6:.2f}" if value < 1e7 else f"{value / 1e6:.1f}"
