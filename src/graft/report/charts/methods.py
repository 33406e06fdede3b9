"""The charts that compare whole methods: accuracy against cost, time, learning curves.

`name` is the prefix of the ids in a chart, `comparison` what `graft.evaluation.compare.compare` gave.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graft.methods.registry import METHODS
from graft.report import costs
from graft.report.charts import style
from graft.report.charts.svg import Chart, drawing, to_svg
from graft.report.costs import Timing, ordinal, with_unit
from graft.report.words import percent

Values = Mapping[str, Any]
DASHED = (0, (3, 1.5))


def accuracy_by_images(name: str, comparison: Values) -> Chart:
    """Test accuracy over the images embedded for one training run; a point a seed, and the seeds' mean."""
    images = {row["method"]: float(row["images_embedded"]) for row in comparison["methods"]}
    points = {method: (n, f"with {n:,.0f} images embedded") for method, n in images.items()}
    return _accuracy_by_cost(name, comparison, points, "images embedded for one training run")


def accuracy_by_seconds(name: str, comparison: Values, timing: Timing) -> Chart | None:
    """Test accuracy over the seconds that one training run takes, with all it needs before.

    Returns:
        None where no method was timed. A method that was not is left out, and named in `Chart.alt`, which
        also says whose features came from the cache in part: it takes at least so long.
    """
    measured = {row["method"]: costs.measure_cost(row["method"], timing) for row in comparison["methods"]}
    points = {
        method: (cost.after(1), f"in {cost.at_least}{with_unit(cost.after(1))}")
        for method, cost in measured.items()
        if not cost.untimed
    }
    if not points:
        return None
    chart = _accuracy_by_cost(name, comparison, points, "seconds for one training run, with extraction")
    left_out = _left_out("Not timed", [method for method in measured if method not in points])
    return chart._replace(alt=chart.alt + left_out)


def _left_out(why: str, methods: Sequence[str]) -> str:
    return f" {why}, so left out: {', '.join(methods)}." if methods else ""


@drawing()
def _accuracy_by_cost(
    name: str, comparison: Values, points: Mapping[str, tuple[float, str]], label: str
) -> Chart:
    """A chart of `points`: method -> its place on the x-axis, and that in words."""
    by_seed = {method: comparison["test_accuracy_by_seed"][method] for method in points}
    figure = style.make_figure(2.75)
    axes = figure.subplots()
    for method, accuracies in by_seed.items():
        x, marker, colour = points[method][0], METHODS[method].marker, METHODS[method].colour
        axes.plot([x] * len(accuracies), accuracies, marker, color=colour, markersize=4)
        axes.plot([x], [mean(accuracies)], marker, color=colour, **style.RING)
    style.scale_cost(axes, [x for x, _ in points.values()])
    style.scale_accuracy(axes, [accuracy for values in by_seed.values() for accuracy in values])
    axes.set(xlabel=label, ylabel="test accuracy, %")
    told = [f"{method} {_spread(by_seed[method])} {said}" for method, (_, said) in points.items()]
    return Chart(to_svg(figure, name), f"Test accuracy over {label}: {'; '.join(told)}.")


def _spread(accuracies: Sequence[float]) -> str:
    if len(accuracies) == 1:
        return f"{percent(accuracies[0])} %"
    if len(set(accuracies)) == 1:
        return f"{percent(accuracies[0])} % (each of {len(accuracies)} seeds)"
    ends = f"{percent(min(accuracies))} to {percent(max(accuracies))}"
    return f"{percent(mean(accuracies))} % (mean of {len(accuracies)} seeds, {ends})"


@drawing()
def cumulative_time(name: str, timing: Timing) -> Chart | None:
    """The time that a number of training runs has taken in all; the crossings with `UNCACHED` marked.

    What stands at 0 training runs is paid once.

    Returns:
        None where no cost is known; a method whose cost is unknown is left out.
    """
    measured = costs.measure_costs(timing)
    known = {method: cost for method, cost in measured.items() if not cost.untimed}
    if not known:
        return None
    crossings = costs.find_crossings(known)
    last = max(5, *(round(1.5 * n) for n in crossings.values() if n <= 40), 0)
    unit, seconds = _time_unit(max(cost.after(last) for cost in known.values()))
    figure = style.make_figure(2.75)
    axes = figure.subplots()
    axes.set(xlabel="training runs", ylabel=f"time in all, {unit}", xlim=(0, last * 1.02))
    for method, cost in known.items():
        times = [cost.after(n) / seconds for n in range(last + 1)]
        axes.plot(range(last + 1), times, markevery=max(1, (last + 1) // 10), **style.look(method))
    axes.set_ylim(bottom=0)
    for method, n in crossings.items():
        if n <= last:
            _mark_crossing(axes, n, known[method].after(n) / seconds)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(style.number_ticks())
    told = " ".join(costs.describe_costs(measured))
    return Chart(to_svg(figure, name), f"Time in all over the number of training runs. {told}")


def _time_unit(most: float) -> tuple[str, float]:
    return ("s", 1) if most < 600 else ("min", 60) if most < 36_000 else ("h", 3600)


def _mark_crossing(axes: Axes, n: int, time: float) -> None:
    axes.plot([n], [time], "o", color="black", **style.RING | {"markersize": 11, "markeredgewidth": 1})
    below = time > 0.15 * axes.get_ylim()[1]  # else there is no room between it and the axis
    axes.annotate(ordinal(n), (n, time), (5, -12 if below else 8), textcoords="offset points")


@drawing()
def sign(name: str, method: str) -> Chart:
    """A method's entry of the page's legend: its line with its marker."""
    figure = Figure((0.5, 0.17))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.plot([0, 0.5, 1], [0.5] * 3, markevery=[1], **style.look(method))
    return Chart(to_svg(figure, name), f"sign of {method}")


def learning_curves(
    name: str, histories: Mapping[str, pd.DataFrame], best_epochs: Mapping[str, int | None]
) -> dict[str, Chart]:
    """Accuracy and loss over the epochs, a chart a method on the same scales, as far as it has epochs.

    Training is dashed, validation solid, the chosen epoch ringed.

    Args:
        histories: method -> ``models/<method>/history.csv``: accuracy, loss, val_accuracy, val_loss and,
            of a method with epochs, epoch (from 1).
        best_epochs: method -> the epoch whose weights were kept.

    Raises:
        ValueError: if a history lacks that epoch.
    """
    curves = {method: history for method, history in histories.items() if "epoch" in history}
    for method, history in curves.items():
        _check_best(method, history, best_epochs[method])
    limits = {quantity: _find_limits(curves.values(), quantity) for quantity in ("accuracy", "loss")}
    return {
        method: _learning_curve(f"{name}-{n}", method, history, best_epochs[method], limits)
        for n, (method, history) in enumerate(curves.items(), 1)
    }


def _find_limits(histories: Iterable[pd.DataFrame], quantity: str) -> tuple[float, float]:
    values = np.concatenate(
        [history[[quantity, f"val_{quantity}"]].to_numpy().ravel() for history in histories]
    )
    finite = values[np.isfinite(values)]
    room = 0.05 * (finite.max() - finite.min()) or 0.05
    return float(finite.min() - room), float(finite.max() + room)


@drawing()
def _learning_curve(
    name: str, method: str, history: pd.DataFrame, best: int | None, limits: Mapping[str, tuple[float, float]]
) -> Chart:
    figure = style.make_figure(3.2, width=style.SMALL)
    panels = dict(zip(limits, figure.subplots(2, sharex=True), strict=True))
    for quantity, axes in panels.items():
        _draw_curve(axes, quantity, history, method, best)
        axes.set_ylim(limits[quantity])
    last = history["epoch"].max()
    room = max(0.3, 0.04 * last)
    panels["accuracy"].set_ylabel("accuracy, %")
    panels["accuracy"].yaxis.set_major_formatter(style.percent_ticks())
    panels["loss"].set(xlabel="epoch", ylabel="loss", xlim=(1 - room, last + room))
    panels["loss"].yaxis.set_major_formatter(style.number_ticks())
    panels["loss"].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    return Chart(to_svg(figure, name), f"Learning curves: {_curve_alt(method, history, best)}.")


def _check_best(method: str, history: pd.DataFrame, best: int | None) -> None:
    if best not in set(history["epoch"]):
        raise ValueError(
            f"expected the best epoch of {method} among the {len(history)} of its history, received "
            f"best_epoch={best}; they are of two training runs: run `dvc repro`"
        )


def _draw_curve(axes: Axes, quantity: str, history: pd.DataFrame, method: str, best: int | None) -> None:
    colour, marker, epochs = METHODS[method].colour, METHODS[method].marker, history["epoch"]
    axes.plot(epochs, history[quantity], color=colour, linestyle=DASHED, linewidth=1)
    marks: dict[str, Any] = {"marker": marker, "markevery": max(1, len(epochs) // 6), "markersize": 3.5}
    axes.plot(epochs, history[f"val_{quantity}"], color=colour, **marks)
    chosen = history[epochs == best]
    axes.plot(chosen["epoch"], chosen[f"val_{quantity}"], marker, color=colour, **style.RING)


def _curve_alt(method: str, history: pd.DataFrame, best: int | None) -> str:
    row = history.loc[history["epoch"] == best].iloc[0]
    return (
        f"{method} chose epoch {best} of {len(history)}, with a validation accuracy of "
        f"{percent(row['val_accuracy'])} % and a validation loss of {row['val_loss']:.2f}"
    )
