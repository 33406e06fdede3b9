"""The parts that charts share: figures, legends, short labels, axes."""

from collections import defaultdict
from collections.abc import Sequence
from math import log10
from typing import Any
from unicodedata import category

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter
from rich.cells import cell_len, chop_cells

from graft.methods.registry import METHODS

WIDTH = 4.2  # inches, so 302 units, which grow to the width of a phone or a third of a page
SMALL = 2.6  # inches: one of small multiples, of which two stand side by side on a phone
ROW = 0.165  # inches: a row of a legend
LETTER = 0.08  # inches: a column of text, at most
ACROSS = 2  # columns of a legend


def make_figure(
    height: float, entries: Sequence[Artist] = (), wide: Sequence[str] = (), width: float = WIDTH
) -> Figure:
    """Make a figure whose axes share the room that its texts leave.

    Args:
        height: inches without the legend.
        entries: of a legend on top, two in a row.
        wide: labels on the left, for which there shall be room in whatever font the reader has.
        width: inches.
    """
    # Another font may be wider, and matplotlib's lacks East Asian characters, each of two columns.
    left = max((0.05 + LETTER * (cell_len(text) - len(text)) for text in wide), default=0) / width
    layout = ConstrainedLayoutEngine(rect=(left, 0, 1 - left, 1))
    figure = Figure((width, height + ROW * -(-len(entries) // ACROSS)), layout=layout)
    if entries:
        options: dict[str, Any] = {"columnspacing": 1.2, "handletextpad": 0.5, "labelspacing": 0.35}
        figure.legend(handles=entries, loc="outside upper left", ncols=ACROSS, borderaxespad=0.1, **options)
    return figure


def look(name: str) -> dict[str, Any]:
    """The colour, marker and dash of a method, as matplotlib's options."""
    method = METHODS[name]
    return {"color": method.colour, "marker": method.marker, "linestyle": method.dash}


RING: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none"}


def shorten(labels: Sequence[str], width: int = 18) -> list[str]:
    """Labels in at most so many columns each, with an ellipsis in the middle: ends tell names apart.

    Those that would then be alike begin with an ellipsis instead, shortly before they first differ.
    What XML cannot hold, such as control characters, becomes a space.

    Examples:
        >>> shorten(["daisy", "a dandelion of the meadow"], 12)
        ['daisy', 'a dand…eadow']
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
    if cell_len(label) <= width:
        return label
    tail = chop_cells(label[::-1], (width - 1) // 2)[0][::-1]
    return f"{chop_cells(label, width - 1 - cell_len(tail))[0]}…{tail}"


def _cut(label: str, width: int) -> str:
    return label if cell_len(label) <= width else chop_cells(label, width - 1)[0] + "…"


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
