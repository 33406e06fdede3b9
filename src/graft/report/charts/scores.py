"""The charts that show scores: ROC curves and reliability, a chart a method.

`rows` are the prediction rows of test of one seed, by method; there is at least one method.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from graft.evaluation import metrics
from graft.evaluation.confusion import FEW
from graft.evaluation.curves import mean_roc, roc_curves
from graft.methods.registry import METHODS
from graft.report.charts.style import SMALL, make_figure, number_ticks
from graft.report.charts.svg import GRID, Chart, drawing, to_svg
from graft.report.words import percent

SHARES = [0, 0.5, 1]


def roc(name: str, rows: Mapping[str, pd.DataFrame]) -> dict[str, Chart]:
    """ROC curves: of class 1 for two classes, else thin lines of each against the rest, and their mean.

    Of more than `FEW` classes the mean alone.
    """
    return {method: _roc(f"{name}-{n}", method, test) for n, (method, test) in enumerate(rows.items(), 1)}


@drawing()
def _roc(name: str, method: str, rows: pd.DataFrame) -> Chart:
    truth, scores, classes = metrics.decode_rows(rows)
    area = metrics.measure_roc_auc(truth, scores)
    figure = make_figure(2.4, width=SMALL)
    axes = figure.subplots()
    _draw_roc(axes, roc_curves(rows), METHODS[method].colour)
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title(f"AUC {area:.3f}", loc="left")
    kind = f"of {classes[1]}" if len(classes) == 2 else "of each class against the rest, and their mean"
    said = f"ROC curves of {method} {kind}, on test. Area under the curve: {area:.3f}."
    return Chart(to_svg(figure, name), said)


def _draw_roc(axes: Axes, curves: pd.DataFrame, colour: str) -> None:
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
    groups = [curve for _, curve in curves.groupby("class")]
    for curve in groups if 1 < len(groups) <= FEW else []:
        axes.plot(curve["fpr"], curve["tpr"], color=colour, linewidth=0.6, alpha=0.45)
    mean = mean_roc(curves)
    axes.plot(mean["fpr"], mean["tpr"], color=colour, linewidth=2.2, clip_on=False)
    _scale_shares(axes)


def _scale_shares(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=SHARES, yticks=SHARES)
    axes.xaxis.set_major_formatter(number_ticks())
    axes.yaxis.set_major_formatter(number_ticks())


def reliability_bins(confidences: np.ndarray, right: np.ndarray, bins: int) -> pd.DataFrame:
    """The bins of `graft.evaluation.metrics.calibration_error` (same arguments) with images, by number.

    Returns:
        Frame ``n, confidence, accuracy`` of the images of a bin. The mean of |accuracy - confidence| over
        all images is the calibration error.
    """
    frame = pd.DataFrame({"confidence": confidences, "accuracy": right})
    bin_of = frame.groupby(metrics.calibration_bins(confidences, bins))
    return bin_of.mean().assign(n=bin_of.size())


def reliability(name: str, rows: Mapping[str, pd.DataFrame], bins: int) -> dict[str, Chart]:
    """Accuracy over confidence, against the diagonal of a calibrated model; below, how many images."""
    return {
        method: _reliability(f"{name}-{n}", method, _decisions(test), bins)
        for n, (method, test) in enumerate(rows.items(), 1)
    }


@drawing()
def _reliability(name: str, method: str, decided: tuple[np.ndarray, np.ndarray], bins: int) -> Chart:
    error = metrics.calibration_error(*decided, bins)
    figure = make_figure(3.1, width=SMALL)
    above, below = figure.subplots(2, height_ratios=[1, 0.35])
    _draw_reliability(above, below, reliability_bins(*decided, bins), bins, METHODS[method].colour)
    above.set_title(f"ECE {percent(error)} %", loc="left")
    above.set_ylabel("accuracy")
    below.set(xlabel="confidence", ylabel="images")
    said = f"Accuracy of {method} over its confidence in {bins} bins, on test."
    return Chart(to_svg(figure, name), f"{said} Expected calibration error: {percent(error)} %.")


def _decisions(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    labels, confidences = metrics.predict_labels(rows)
    return confidences, labels == rows["y_true"].to_numpy()


def _draw_reliability(above: Axes, below: Axes, filled: pd.DataFrame, bins: int, colour: str) -> None:
    middles, most = (filled.index + 0.5) / bins, filled["n"].max()
    options: dict[str, Any] = {"width": 0.86 / bins, "color": colour, "linewidth": 0}
    above.bar(middles, filled["accuracy"], **options)
    above.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    above.tick_params(labelbottom=False)
    below.bar(middles, filled["n"], **options)
    _scale_shares(above)
    _scale_shares(below)
    below.set(ylim=(0, most), yticks=[0, most])
