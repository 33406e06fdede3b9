"""Classes, and pairs of classes mistaken for each other: the worst for the page, all for CSV files."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from graft.evaluation.confusion import FEW, count_confusions
from graft.evaluation.metrics import measure_split, predict_labels
from graft.evaluation.predictions import first_seed
from graft.report.gallery import Predictions
from graft.report.tables import Measured, count_by_split
from graft.utils.files import write_csv


class Classes(NamedTuple):
    """The classes, as measured on the test images.

    Attributes:
        measured: method -> the result of `measure_split` for each seed.
        per_class: method -> frame ``label, precision, recall, f1, support`` of the first seed, by class.
        confused: method -> the result of `count_confusions` for the first seed.
        counts: images of each class and split.
        worst: the labels that the page shows: all, in class order, or those with the lowest mean F1.
        smallest: the labels whose images the page counts: all, in class order, or those with the fewest.
    """

    measured: Measured
    per_class: Mapping[str, pd.DataFrame]
    confused: Mapping[str, pd.DataFrame]
    counts: pd.DataFrame
    worst: list[str]
    smallest: list[str]

    @property
    def many(self) -> bool:
        """True if the page does not show all."""
        return len(self.counts) > FEW

    @property
    def shown(self) -> dict[str, pd.DataFrame]:
        """`per_class` of the `worst` classes, in their order."""
        return {
            m: frame.set_index("label").loc[self.worst].reset_index() for m, frame in self.per_class.items()
        }


def describe_classes(
    predictions: Predictions, manifest: pd.DataFrame, confidence: float, bins: int
) -> Classes:
    """Describe the classes.

    Args:
        predictions: of validation and test.
        manifest: frame ``key, path, label, split``.
        confidence, bins: as of `graft.evaluation.metrics.evaluate`.
    """
    tests = {
        method: (frame[frame["split"] == "test"], facts) for method, (frame, facts) in predictions.items()
    }
    measured = {
        method: [measure_split(test[test["seed"] == seed], confidence, bins) for seed in facts["seeds"]]
        for method, (test, facts) in tests.items()
    }
    per_class = {method: pd.DataFrame(seeds[0]["per_class"]) for method, seeds in measured.items()}
    confused = {method: _count_confusions(first_seed(*test)) for method, test in tests.items()}
    counts = count_by_split(manifest)
    f1 = pd.concat([frame.set_index("label")["f1"] for frame in per_class.values()], axis=1).mean(axis=1)
    worst, smallest = (_choose(values) for values in (f1, counts.sum(axis=1)))
    return Classes(measured, per_class, confused, counts, worst, smallest)


def _count_confusions(test: pd.DataFrame) -> pd.DataFrame:
    return count_confusions(test["y_true"].to_numpy(), predict_labels(test)[0])


def _choose(values: pd.Series) -> list[str]:
    """The labels of the `FEW` lowest values, lowest first; all in class order where there are no more."""
    return list(values.index if len(values) <= FEW else values.sort_values(kind="stable").index[:FEW])


def write_rest(classes: Classes, folder: Path) -> None:
    """Write ``classes.csv`` and ``confusions.csv`` where the page does not show all; else remove old ones."""
    files = {"classes": _list_classes, "confusions": _list_confusions}
    for name, tabulate in files.items():
        file = folder / f"{name}.csv"
        if classes.many:
            write_csv(tabulate(classes), file)
        else:
            file.unlink(missing_ok=True)


def _list_classes(classes: Classes) -> pd.DataFrame:
    frames = [frame.set_index("label").drop(columns="support") for frame in classes.per_class.values()]
    named = [frame.add_prefix(f"{m} ") for m, frame in zip(classes.per_class, frames, strict=True)]
    return pd.concat([classes.counts, *named], axis=1).rename_axis("class").reset_index()


def _list_confusions(classes: Classes) -> pd.DataFrame:
    named = [frame.assign(method=method) for method, frame in classes.confused.items()]
    return pd.concat(named)[["method", "true", "predicted", "n", "support"]]
