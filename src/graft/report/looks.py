"""How methods and names look in every chart."""

import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

WIDTH = 4.8  # inches, so 345.6 units: on a telephone about one CSS pixel each
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


def shorten(label: str, width: int = 18) -> str:
    """A label in at most so many columns, its middle replaced by an ellipsis: ends tell names apart.

    Wide (East Asian) characters take two columns, combining ones none; control characters, which SVG
    cannot hold, become spaces.
    """
    label = "".join(" " if unicodedata.category(char) == "Cc" else char for char in label)
    if columns(label) <= width:
        return label
    tail = _take(reversed(label), (width - 1) // 2)[::-1]
    return f"{_take(label, width - 1 - columns(tail))}…{tail}"


def columns(text: str) -> int:
    """How many columns a text takes where a Latin letter takes one."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


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
