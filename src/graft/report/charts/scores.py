"""The charts that show scores: ROC curves and reliability, a panel a method.

`rows` are the prediction rows of test of one seed, by method; there is at least one method.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graft.evaluation import metrics
from graft.evaluation.curves import mean_roc, roc_curves
from graft.methods.registry import METHODS
from graft.report.charts.style import make_figure, number_ticks
from graft.report.charts.svg import GRID, Chart, drawing, to_svg
from graft.report.words import percent

SHARES = [0, 0.5, 1]


@drawing()
def roc(name: str, rows: Mapping[str, pd.DataFrame]) -> Chart:
    """ROC curves: of class 1 for two classes, else thin lines of each against the rest, and their mean."""
    areas = {method: _area(test) for method, test in rows.items()}
    figure, panels = _panels(len(rows), [1.0])
    for (axes,), (method, test) in zip(panels, rows.items(), strict=True):
        _draw_roc(axes, roc_curves(test), METHODS[method].colour)
        axes.set_title(f"{METHODS[method].label}: AUC {areas[method]:.3f}", loc="left")
    _label_outside(panels, "false positive rate", ["true positive rate"])
    classes = metrics.decode_rows(next(iter(rows.values())))[2]
    kind = f"of {classes[1]}" if len(classes) == 2 else "of each class against the rest, and their mean"
    told = ", ".join(f"{method} {area:.3f}" for method, area in areas.items())
    return Chart(to_svg(figure, name), f"ROC curves {kind}, on test. Area under the curve: {told}.")


def _area(rows: pd.DataFrame) -> float:
    truth, scores, _ = metrics.decode_rows(rows)
    return metrics.measure_roc_auc(truth, scores)


def _draw_roc(axes: Axes, curves: pd.DataFrame, colour: str) -> None:
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
    groups = [curve for _, curve in curves.groupby("class")]
    for curve in groups if len(groups) > 1 else []:
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


@drawing()
def reliability(name: str, rows: Mapping[str, pd.DataFrame], bins: int) -> Chart:
    """Accuracy over confidence, against the diagonal of a calibrated model; below, how many images."""
    decisions = {method: _decisions(test) for method, test in rows.items()}
    errors = {method: metrics.calibration_error(*decided, bins) for method, decided in decisions.items()}
    figure, panels = _panels(len(rows), [1.0, 0.35])
    for (above, below), (method, decided) in zip(panels, decisions.items(), strict=True):
        _draw_reliability(above, below, reliability_bins(*decided, bins), bins, METHODS[method].colour)
        above.set_title(f"{METHODS[method].label}: ECE {percent(errors[method])} %", loc="left")
    _label_outside(panels, "confidence", ["accuracy", "images"])
    told = ", ".join(f"{method} {percent(error)} %" for method, error in errors.items())
    said = f"Accuracy over confidence in {bins} bins, on test. Expected calibration error: {told}."
    return Chart(to_svg(figure, name), said)


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


def _panels(n: int, heights: Sequence[float]) -> tuple[Figure, list[list[Axes]]]:
    """A figure of n panels, two in a row; each is a stack of axes, their heights in shares of the width."""
    down = -(-n // 2)
    figure = make_figure(down * (0.7 + 1.8 * sum(heights)))
    grid = figure.subplots(down * len(heights), 2, squeeze=False, height_ratios=[*heights] * down)
    stacks = grid.reshape(down, len(heights), 2).swapaxes(1, 2).reshape(2 * down, len(heights)).tolist()
    for axes in chain(*stacks[n:]):
        axes.remove()
    return figure, stacks[:n]


def _label_outside(panels: Sequence[Sequence[Axes]], x: str, y: Sequence[str]) -> None:
    for i, stack in enumerate(panels):
        stack[-1].set_xlabel(x)
        for axes, label in zip(stack, y, strict=True):
            axes.set_ylabel(label if i % 2 == 0 else "")
