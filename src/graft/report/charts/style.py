"""What the charts are made of: how methods look, legends, names, axes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log10
from typing import Any, NamedTuple
from unicodedata import category, combining, east_asian_width

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

WIDTH = 4.8  # inches, so 345.6 units: on a telephone about one CSS pixel each
ROW = 0.165  # inches: a row of a legend
Dash = str | tuple[float, tuple[float, ...]]


class Look(NamedTuple):
    """A method's colour, marker and dash."""

    colour: str
    marker: str
    dash: Dash


# The colours of Okabe and Ito (2008) that have a contrast of 3:1 with both a white and a dark page.
BLUE, GREEN, VERMILLION, PURPLE = "#0072b2", "#009e73", "#d55e00", "#cc79a7"
LOOKS = {
    "two_stage": Look(BLUE, "o", "-"),
    "two_stage_views": Look(GREEN, "s", (0, (5, 1.5))),
    "inline": Look(VERMILLION, "^", (0, (1.5, 1.2))),
    "scratch": Look(PURPLE, "D", (0, (6, 1.5, 1.5, 1.5))),
}
OTHER = Look("black", "X", "-")


def look(method: str) -> Look:
    """The look of a method, the same in every chart; of one that is not graft's own black."""
    return LOOKS.get(method, OTHER)


def entry(label: str, chosen: Look, **options: Any) -> Line2D:
    """A line of a legend: a method's marker and dash, unless the options say otherwise."""
    given = {"color": chosen.colour, "marker": chosen.marker, "linestyle": chosen.dash, **options}
    return Line2D([], [], label=label, **given)


def mark(label: str, ring: float = 0) -> Line2D:
    """A line of a legend that is of no method: a dot or, of a size, a ring."""
    size = {"markersize": ring, "markerfacecolor": "none"} if ring else {"markersize": 4}
    return entry(label, OTHER._replace(marker="o"), linestyle="none", **size)


def legend(figure: Figure, entries: Sequence[Any], columns: int, row: int = 0) -> None:
    """Put a legend on top of a figure, without a frame; `row` is how many rows stand above it."""
    options: dict[str, Any] = {"columnspacing": 1.2, "handletextpad": 0.5, "labelspacing": 0.35}
    top = 0, 1 - row * ROW / figure.get_figheight()
    figure.legend(
        handles=entries, loc="upper left", bbox_to_anchor=top, ncols=columns, borderaxespad=0.1, **options
    )


def legend_height(n: int, columns: int) -> float:
    """Inches that a legend of n entries takes."""
    return ROW * -(-n // columns) + 0.06


def stack(top: float, heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """A figure of axes one under the other, of these heights (inches), with room on top."""
    left, gap, bottom = 0.58, 0.16, 0.45
    height = top + sum(heights) + gap * (len(heights) - 1) + bottom
    figure, drawn, y = Figure((WIDTH, height)), [], height - top
    for one in heights:
        y -= one
        drawn.append(figure.add_axes((left / WIDTH, y / height, 1 - (left + 0.12) / WIDTH, one / height)))
        y -= gap
    return figure, drawn


def shorten(labels: Sequence[str], width: int = 18) -> list[str]:
    """Labels in at most so many columns each, with an ellipsis in the middle: ends tell names apart.

    Those that would then be alike begin with an ellipsis instead, shortly before they first differ.
    What XML cannot hold, such as control characters, becomes a space.
    """
    clean = ["".join(" " if _not_xml(char) else char for char in label) for label in labels]
    short = [_shorten(label, width) for label in clean]
    places = defaultdict(list)
    for i, text in enumerate(short):
        places[text].append(i)
    for alike in places.values():
        letters = zip(*(clean[i] for i in alike), strict=False)
        same = next((n for n, found in enumerate(letters) if len(set(found)) > 1), 0)
        for i in alike if same > 3 else []:
            short[i] = _cut("…" + clean[i][same - 3 :], width)
    return short


def _not_xml(char: str) -> bool:
    return category(char) in ("Cc", "Cs") or char in "\ufffe\uffff"


def _shorten(label: str, width: int) -> str:
    if columns(label) <= width:
        return label
    tail = _take(reversed(label), (width - 1) // 2)[::-1]
    return f"{_take(label, width - 1 - columns(tail))}…{tail}"


def _cut(label: str, width: int) -> str:
    return label if columns(label) <= width else _take(label, width - 1) + "…"


def columns(text: str) -> int:
    """How many columns a text takes: a wide (East Asian) character two, a combining one none."""
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _take(text: Iterable[str], width: int) -> str:
    taken = ""
    for char in text:
        if columns(taken + char) > width:
            break
        taken += char
    return taken


def percent_ticks() -> FuncFormatter:
    """Ticks of an axis that runs from 0 to 1, as percent."""
    return FuncFormatter(lambda value, _: f"{100 * value:.3g}")


def number_ticks() -> FuncFormatter:
    """Ticks as plain numbers: 0.25, 10, 1,000."""
    return FuncFormatter(lambda value, _: f"{value:,.10g}")


def scale_cost(axes: Axes, costs: Sequence[float]) -> None:
    """From 0 on; logarithmic, with 0 beside it, where the costs span more than a decade."""
    positive = [cost for cost in costs if cost > 0]
    if positive and max(positive) > 10 * min(positive):
        least = 10.0 ** np.floor(log10(min(positive)))
        axes.set_xscale("symlog", linthresh=least, linscale=0.4)
        decades = least * 10.0 ** np.arange(int(log10(max(positive) / least)) + 1)
        axes.set_xticks([0, *decades] if 0 in costs else decades)
        axes.set_xticks([], minor=True)
        axes.set_xlim(-0.25 * least if 0 in costs else 0.8 * least, 1.6 * max(positive))
    else:
        top = max(costs) or 1
        axes.set_xlim(-0.06 * top, 1.08 * top)
    axes.xaxis.set_major_formatter(number_ticks())


def scale_accuracy(axes: Axes, values: Sequence[float]) -> None:
    """As much of 0 to 1 as the values need, at least 20 points."""
    low, high = min(values), max(values)
    room = max(0.04, (0.2 - (high - low)) / 2)
    axes.set_ylim(max(low - room, -0.02), min(high + room, 1.02))
    axes.yaxis.set_major_formatter(percent_ticks())
