"""The charts that compare backbones: accuracy against speed and size, with the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.methods.registry import BLUE, GRAY
from graft.report.charts import style
from graft.report.charts.svg import Chart, drawing, to_svg
from graft.report.words import percent

COSTS = {"speed": ("images_per_second", 1, "images/s"), "size": ("bytes", 1e6, "file, MB")}


def accuracy_by_costs(name: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Chart, str]]:
    """A chart of the accuracy over each cost, with its caption, of those backbones whose cost is known.

    Args:
        name: prefix of the ids.
        rows: as `graft.report.backbones.compare_backbones` gives them.
    """
    drawn = []
    for cost, (key, unit, label) in COSTS.items():
        if known := [row for row in rows if row[key]]:
            values = [row[key] / unit for row in known]
            drawn.append((_accuracy_by_cost(f"{name}-{cost}", cost, known, values, label), f"By {cost}"))
    return drawn


@drawing()
def _accuracy_by_cost(
    name: str, cost: str, rows: Sequence[Mapping[str, Any]], values: Sequence[float], label: str
) -> Chart:
    figure = style.make_figure(2.75)
    axes = figure.subplots()
    places = sorted((x, row["accuracy"]) for x, row in zip(values, rows, strict=True) if cost in row["front"])
    axes.plot(*zip(*places, strict=True), color=BLUE, linewidth=1)
    style.scale_cost(axes, values)
    style.scale_accuracy(axes, [row[end] for row in rows for end in ("low", "high")])
    for x, row, short in zip(values, rows, style.shorten([row["backbone"] for row in rows]), strict=True):
        colour, y = BLUE if cost in row["front"] else GRAY, row["accuracy"]
        axes.errorbar([x], [y], [[y - row["low"]], [row["high"] - y]], fmt="o", color=colour, elinewidth=0.7)
        on_the_right = (axes.transData + axes.transAxes.inverted()).transform((x, y))[0] > 0.6
        side: Any = ((-5, 4), "right") if on_the_right else ((5, 4), "left")
        axes.annotate(short, (x, y), side[0], textcoords="offset points", color=colour, ha=side[1])
    axes.set(xlabel=label, ylabel="accuracy, %")
    told = [
        f"{row['backbone']} {percent(row['accuracy'])} % at {x:.3g}"
        for x, row in zip(values, rows, strict=True)
    ]
    front = ", ".join(row["backbone"] for row in rows if cost in row["front"])
    return Chart(to_svg(figure, name), f"Accuracy over {label}: {'; '.join(told)}. Pareto front: {front}.")
