"""The charts that compare whole methods: accuracy against cost, time, learning curves."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from graft.report.charts.style import (
    OTHER,
    ROW,
    entry,
    legend,
    legend_height,
    look,
    mark,
    number_ticks,
    percent_ticks,
    scale_accuracy,
    scale_cost,
    stack,
)
from graft.report.charts.svg import Chart, drawing, to_svg
from graft.report.costs import Cost, Timing, crossing, measure_costs, ordinal, split_seconds, with_unit
from graft.report.words import percent

Values = Mapping[str, Any]


def accuracy_by_images(name: str, comparison: Values) -> Chart:
    """Test accuracy over the images embedded for one training; a point a method and seed, and their mean.

    Args:
        name: prefix of the ids, as of every chart.
        comparison: what `graft.evaluation.compare.compare` gave.
    """
    costs = {row["method"]: float(row["images_embedded"]) for row in comparison["methods"]}
    told = {method: f"with {cost:,.0f} images embedded" for method, cost in costs.items()}
    return _accuracy_by_cost(name, comparison, costs, "images embedded for one training", told, "")


def accuracy_by_seconds(name: str, comparison: Values, timing: Timing) -> Chart | None:
    """Test accuracy over the seconds that one training takes, with all it needs before.

    Args:
        comparison: what `graft.evaluation.compare.compare` gave.
        timing: stage -> what it wrote to ``metrics/timing``; a stage may be missing.

    Returns:
        None where no method was timed. A method that was not is left out, and named in `Chart.alt`; one
        whose features came from the cache in part is marked: it takes at least so long.
    """
    costs, missing, known = {}, [], measure_costs(timing)
    for row in comparison["methods"]:
        parts = [part for part in split_seconds(row["method"], timing) if part is not None]
        if len(parts) == 2:
            costs[row["method"]] = sum(parts)
        else:
            missing.append(row["method"])
    if not costs:
        return None
    left_out = f" Not timed, so left out: {', '.join(missing)}." if missing else ""
    bounds = {method: cost.bound for method, cost in known.items()}
    told = {method: f"in {bounds.get(method, '')}{with_unit(cost)}" for method, cost in costs.items()}
    label = "seconds for one training, with extraction"
    return _accuracy_by_cost(name, comparison, costs, label, told, left_out)


def _accuracy_by_cost(
    name: str, comparison: Values, costs: Mapping[str, float], label: str, told: Mapping[str, str], note: str
) -> Chart:
    by_seed = {method: comparison["test_accuracy_by_seed"][method] for method in costs}
    with drawing():
        top = legend_height(len(costs), 2) + ROW
        figure, (axes,) = stack(top, [2.3])
        for method, accuracies in by_seed.items():
            colour, marker, _ = look(method)
            x = costs[method]
            axes.plot([x] * len(accuracies), accuracies, marker, color=colour, markersize=4)
            axes.plot([x], [mean(accuracies)], marker, color=colour, markerfacecolor="none", markersize=10)
        scale_cost(axes, list(costs.values()))
        scale_accuracy(axes, [accuracy for values in by_seed.values() for accuracy in values])
        axes.set(xlabel=label, ylabel="test accuracy, %")
        least = {method: " (at least)" if "at least" in told[method] else "" for method in costs}
        methods = [entry(method + least[method], look(method), linestyle="none") for method in costs]
        legend(figure, methods, 2)
        legend(figure, [mark("one seed"), mark("mean of its seeds", 9)], 2, row=-(-len(costs) // 2))
        points = "; ".join(
            f"{method} {_spread(accuracies)} {told[method]}" for method, accuracies in by_seed.items()
        )
        return Chart(to_svg(figure, name), f"Test accuracy over {label}: {points}.{note}")


def _spread(accuracies: Sequence[float]) -> str:
    if len(accuracies) == 1:
        return f"{percent(accuracies[0])} %"
    if len(set(accuracies)) == 1:
        return f"{percent(accuracies[0])} % (each of {len(accuracies)} seeds)"
    ends = f"{percent(min(accuracies))} to {percent(max(accuracies))}"
    return f"{percent(mean(accuracies))} % (mean of {len(accuracies)} seeds, {ends})"


def cumulative_time(name: str, timing: Timing) -> Chart | None:
    """The time that a number of trainings has taken in all; the crossings with `inline` marked.

    What stands at 0 trainings is paid once.

    Args:
        timing: stage -> what it wrote to ``metrics/timing``; a stage may be missing.

    Returns:
        None where no cost is known. A method whose cost is not is left out, and named in `Chart.alt`.
    """
    costs = measure_costs(timing)
    known = {method: cost for method, cost in costs.items() if cost.after(1) is not None}
    if not known:
        return None
    crossings = _crossings(known)
    last = max(5, *(round(1.5 * n) for n in crossings.values() if n <= 40), 0)
    trainings = range(last + 1)
    unit, seconds = _time_unit(max(cost.after(last) or 0 for cost in known.values()))
    with drawing():
        entries = [entry(_bounded(method, cost), look(method)) for method, cost in known.items()]
        figure, (axes,) = stack(legend_height(len(entries), 2), [2.4])
        for method, cost in known.items():
            times = [(cost.after(n) or 0) / seconds for n in trainings]
            colour, marker, dash = look(method)
            every = max(1, last // 10)
            axes.plot(trainings, times, color=colour, marker=marker, linestyle=dash, markevery=every)
        axes.set(xlabel="trainings", ylabel=f"time in all, {unit}", xlim=(0, last * 1.02))
        axes.set_ylim(bottom=0)
        for method, n in crossings.items():
            if n <= last:
                _mark_crossing(axes, n, (known[method].after(n) or 0) / seconds)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(number_ticks())
        legend(figure, entries, 2)
        return Chart(to_svg(figure, name), _time_alt(known, crossings, sorted(set(costs) - set(known))))


def _crossings(known: Mapping[str, Cost]) -> dict[str, int]:
    if "inline" not in known:
        return {}
    found = {method: crossing(cost, known["inline"]) for method, cost in known.items() if method != "inline"}
    return {method: n for method, n in found.items() if n is not None}


def _time_unit(most: float) -> tuple[str, float]:
    return ("s", 1) if most < 600 else ("min", 60) if most < 36_000 else ("h", 3600)


def _mark_crossing(axes: Axes, n: int, time: float) -> None:
    ring: dict[str, Any] = {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1}
    axes.plot([n], [time], "o", color="black", **ring)
    below = time > 0.15 * axes.get_ylim()[1]  # else there is no room between it and the axis
    axes.annotate(ordinal(n), (n, time), (5, -12 if below else 8), textcoords="offset points")


def _bounded(method: str, cost: Cost) -> str:
    return f"{method} (at least)" if cost.n_cached else method


def _time_alt(known: Mapping[str, Cost], crossings: Mapping[str, int], missing: Sequence[str]) -> str:
    parts = []
    for method, cost in known.items():
        part = f"{method} {cost.bound}{with_unit(cost.once or 0)} once and {with_unit(cost.each or 0)} each"
        if method in crossings:
            later = " or a later one" if cost.n_cached else ""
            part += f", less than inline from the {ordinal(crossings[method])} training{later} on"
        parts.append(part)
    left_out = f" Not timed, so left out: {', '.join(missing)}." if missing else ""
    return f"Time in all over the number of trainings: {'; '.join(parts)}.{left_out}"


def learning_curves(
    name: str, histories: Mapping[str, pd.DataFrame], best_epochs: Mapping[str, int]
) -> Chart:
    """Accuracy and loss over the epochs: training dashed, validation solid, the chosen epoch marked.

    Args:
        histories: method -> ``models/<method>/history.csv``: epoch (from 1), accuracy, loss,
            val_accuracy, val_loss.
        best_epochs: method -> the epoch whose weights were kept.

    Raises:
        ValueError: if a history has not that epoch.
    """
    for method, history in histories.items():
        if best_epochs[method] not in set(history["epoch"]):
            raise ValueError(
                f"expected the best epoch of {method} among the {len(history)} of its history, received "
                f"best_epoch={best_epochs[method]}; they are of two trainings: run `dvc repro`"
            )
    with drawing():
        figure, (accuracy, loss) = stack(legend_height(len(histories), 2) + ROW, [1.8, 1.8])
        for method, history in histories.items():
            _draw_curve(accuracy, "accuracy", history, method, best_epochs[method])
            _draw_curve(loss, "loss", history, method, best_epochs[method])
        accuracy.yaxis.set_major_formatter(percent_ticks())
        accuracy.tick_params(labelbottom=False)
        loss.sharex(accuracy)
        accuracy.set_ylabel("accuracy, %")
        loss.set(xlabel="epoch", ylabel="loss")
        last = max(len(history) for history in histories.values())
        room = max(0.3, 0.04 * last)
        loss.set_xlim(1 - room, last + room)
        loss.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        loss.yaxis.set_major_formatter(number_ticks())
        legend(figure, [entry(method, look(method), linestyle="-") for method in histories], 2)
        plain = OTHER._replace(marker="")
        marks = [entry("training", plain, linestyle=(0, (3, 1.5)), linewidth=1), entry("validation", plain)]
        legend(figure, [*marks, mark("chosen epoch", 9)], 3, row=-(-len(histories) // 2))
        parts = [_curve_alt(method, history, best_epochs[method]) for method, history in histories.items()]
        return Chart(to_svg(figure, name), f"Learning curves over the epochs: {'; '.join(parts)}.")


def _draw_curve(axes: Axes, quantity: str, history: pd.DataFrame, method: str, best: int) -> None:
    colour, marker, _ = look(method)
    epochs = history["epoch"]
    axes.plot(epochs, history[quantity], color=colour, linestyle=(0, (3, 1.5)), linewidth=1)
    marks: dict[str, Any] = {"marker": marker, "markevery": max(1, len(epochs) // 6), "markersize": 3.5}
    axes.plot(epochs, history[f"val_{quantity}"], color=colour, **marks)
    chosen = history.loc[epochs == best, f"val_{quantity}"]
    ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "color": colour}
    axes.plot([best] * len(chosen), chosen, marker, **ring)


def _curve_alt(method: str, history: pd.DataFrame, best: int) -> str:
    row = history.loc[history["epoch"] == best].iloc[0]
    return (
        f"{method} chose epoch {best} of {len(history)}, with a validation accuracy of "
        f"{percent(row['val_accuracy'])} % and a validation loss of {row['val_loss']:.2f}"
    )
