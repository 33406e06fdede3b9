"""The charts of a study of `graft tune`: its trials as parallel coordinates, and what mattered."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

from matplotlib.axes import Axes

from graft.methods.registry import BLUE, GRAY, VERMILLION
from graft.report.charts.style import make_figure, number_ticks
from graft.report.charts.svg import Chart, drawing, to_svg
from graft.report.provenance import show_value
from graft.report.words import percent

LOSS = "validation loss"
TRIALS = "Trials: the winner red, the other finalists blue"
AXIS = 1.25  # inches: the distance of two axes


def draw_study(name: str, study: Mapping[str, Any]) -> list[tuple[Chart | None, str]]:
    """The charts of a study with their captions, as far as it has enough trials."""
    complete = sum(trial["state"] == "complete" for trial in study["trials"])
    return [
        (parallel_coordinates(f"{name}-trials", study) if complete else None, TRIALS),
        (
            importance(f"{name}-importance", study["importance"]) if study["importance"] else None,
            "Importance",
        ),
    ]


@drawing()
def parallel_coordinates(name: str, study: Mapping[str, Any]) -> Chart:
    """Each complete trial as a line from value to value, to its validation loss; the finalists stand out.

    Args:
        name: ids begin with it.
        study: what `graft.tuning.results.describe_study` gave.
    """
    trials = [trial for trial in study["trials"] if trial["state"] == "complete"]
    losses = [trial["loss"] for trial in trials]
    scales = {**study["space"], LOSS: {"low": min(losses), "high": max(losses), "log": False}}
    figure = make_figure(2.6, width=max(4.2, AXIS * (len(scales) + 0.5)))
    axes = figure.subplots()
    best = {each["number"] for each in study["finalists"]}
    for trial in sorted(trials, key=lambda trial: -trial["loss"]):
        values = trial["values"] | {LOSS: trial["loss"]}
        heights = [_place(values[key], scale) for key, scale in scales.items()]
        chosen = trial["number"] in best
        winner = trial["number"] == study["finalists"][0]["number"]
        colour = VERMILLION if winner else BLUE if chosen else GRAY
        axes.plot(
            range(len(scales)),
            heights,
            color=colour,
            linewidth=2 if chosen else 0.6,
            alpha=1 if chosen else 0.5,
        )
    _label(axes, scales)
    told = f"The best has {_tell(study['finalists'][0]['values'])}."
    return Chart(to_svg(figure, name), f"{len(trials)} trials from value to value to their loss. {told}")


def _place(value: Any, scale: Any) -> float:
    """The height, 0 to 1, of a value on its axis."""
    if isinstance(scale, list):
        return scale.index(show_value(value)) / max(len(scale) - 1, 1)
    ends = scale["low"], value, scale["high"]
    low, here, high = map(log, ends) if scale["log"] else ends
    return float((here - low) / ((high - low) or 1))


def _label(axes: Axes, scales: Mapping[str, Any]) -> None:
    axes.set(xlim=(-0.3, len(scales) - 0.4), ylim=(-0.06, 1.06), yticks=[])
    axes.set_xticks(range(len(scales)), [key.rpartition(".")[2] for key in scales])
    axes.spines["left"].set_visible(False)
    for i, scale in enumerate(scales.values()):
        texts = scale if isinstance(scale, list) else [f"{scale['low']:.4g}", f"{scale['high']:.4g}"]
        for n, text in enumerate(texts):
            axes.annotate(
                text, (i, n / max(len(texts) - 1, 1)), (4, 0), textcoords="offset points", va="center"
            )


def _tell(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {show_value(value)}" for key, value in values.items())


@drawing()
def importance(name: str, shares: Mapping[str, float]) -> Chart:
    """The share of each key in what separates good trials from others, the largest on top.

    Args:
        name: ids begin with it.
        shares: of a study's ``importance``.
    """
    keys: Sequence[str] = sorted(shares, key=lambda key: shares[key])
    figure = make_figure(0.5 + 0.22 * len(keys))
    figure.set_layout_engine("constrained", rect=(0.05, 0, 0.95, 1))  # room for another font
    axes = figure.subplots()
    axes.barh(keys, [100 * shares[key] for key in keys], color=BLUE, height=0.6)
    axes.xaxis.set_major_formatter(number_ticks())
    axes.set(xlabel="share of the importance, %")
    told = ", ".join(f"{key} {percent(shares[key])} %" for key in reversed(keys))
    return Chart(to_svg(figure, name), f"Importance of each key: {told}.")
