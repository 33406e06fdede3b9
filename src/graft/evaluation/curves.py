"""Predictions of one seed -> the data of plots, as CSV made for DVC's own templates."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from graft.evaluation.metrics import decode_rows, positive_classes, predict_labels
from graft.utils.files import write_csv

POINTS = 1000  # false positive rates of a mean curve, and points of the curves of all classes, at most
OTHER = "(another class)"


def confusion_rows(rows: pd.DataFrame, shown: Collection[str]) -> pd.DataFrame:
    """One row ``actual, predicted`` an image, sorted by key: for DVC's template ``confusion``.

    Only images of the classes that are `shown`; what was predicted besides these is `OTHER`.
    """
    rows = rows[rows["y_true"].isin(shown)].sort_values("key")
    predicted = pd.Series(predict_labels(rows)[0])
    actual = rows["y_true"].to_numpy()
    return pd.DataFrame({"actual": actual, "predicted": predicted.where(predicted.isin(shown), OTHER)})


def roc_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """ROC curves ``class, fpr, tpr, threshold``: of class 1 for two classes, else one-vs-rest.

    A point is what ``score >= threshold`` gives. The first threshold of a curve, which no score
    reaches, is the number after 1, not infinity, which JSON and Vega cannot hold.
    """
    truth, scores, classes = decode_rows(rows)
    curves = []
    for number in positive_classes(scores):
        fpr, tpr, threshold = roc_curve(truth == number, scores[:, number])
        finite = np.minimum(threshold, np.nextafter(1.0, 2.0))
        curves.append(pd.DataFrame({"class": classes[number], "fpr": fpr, "tpr": tpr, "threshold": finite}))
    return pd.concat(curves, ignore_index=True)


def mean_roc(curves: pd.DataFrame) -> pd.DataFrame:
    """The mean ``fpr, tpr`` of the curves at equal fpr: one line a method, whose area is ``roc_auc``.

    Each fpr stands twice, with the mean of the curves' lower and of their upper ends there, so
    that vertical steps stay vertical. Of more than `POINTS` values of fpr so many are taken; the area
    then differs a little.
    """
    groups = [group for _, group in curves.groupby("class")]
    grid = np.unique(curves["fpr"])
    grid = grid[_spread(len(grid), POINTS)]
    upper = [np.interp(grid, curve["fpr"], curve["tpr"]) for curve in groups]
    # np.interp takes the last of several equal x; walked backwards that is the lower end.
    lower = [np.interp(-grid, -curve["fpr"][::-1], curve["tpr"][::-1]) for curve in groups]
    ends = np.stack([np.mean(lower, axis=0), np.mean(upper, axis=0)], axis=1)
    return pd.DataFrame({"fpr": np.repeat(grid, 2), "tpr": ends.ravel()}).drop_duplicates(ignore_index=True)


def _spread(n: int, most: int) -> np.ndarray:
    """At most so many of the numbers below n, evenly spread; the first and the last are among them."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(int)


def _thin(curves: pd.DataFrame) -> pd.DataFrame:
    """Some points of each curve, `POINTS` in all: of many images the steps are too small to be seen."""
    groups = [curve for _, curve in curves.groupby("class", sort=False)]
    return pd.concat([curve.iloc[_spread(len(curve), POINTS // len(groups))] for curve in groups])


def write_plots(rows: pd.DataFrame, shown: Collection[str], folder: Path) -> None:
    """Write ``confusion.csv``, ``roc.csv`` (one line) and ``roc_per_class.csv`` of one split's rows.

    The mean curve is of all classes, the rest of those that are `shown`. The curves have so few points that
    the files stay small in Git.
    """
    curves = roc_curves(rows)
    frames = {
        "confusion": confusion_rows(rows, shown),
        "roc": mean_roc(curves),
        "roc_per_class": _thin(curves[curves["class"].isin(shown)]),
    }
    for name, frame in frames.items():
        write_csv(frame, folder / f"{name}.csv")
