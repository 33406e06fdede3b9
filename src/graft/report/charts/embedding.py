"""The chart of the embedding map: a dot an image, rings on mistakes, thumbnails on outliers."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from graft.report.charts.style import make_figure, shorten
from graft.report.charts.svg import GRID, Chart, drawing, to_svg
from graft.report.mapping import OTHER, Mapped

WIDTH = 7.5  # inches
MARGIN = 0.07  # of the map's side, for thumbnails
DOT, RING, THUMBNAIL = 3.2, 9, 30  # points


@drawing()
def embedding(name: str, mapped: Mapped) -> Chart:
    """Draw a map; of more than ten classes the others are gray, and below the coloured ones."""
    points, colours = mapped.points, mapped.colours
    others = points[~points["label"].isin(colours)]
    entries = [
        _sign(colour, label) for colour, label in zip(colours.values(), shorten(list(colours)), strict=True)
    ]
    entries += [_sign(OTHER, "other classes")] if len(others) else []
    low, high = points[["x", "y"]].min() - MARGIN, points[["x", "y"]].max() + MARGIN
    figure = make_figure(WIDTH * (high["y"] - low["y"]) / (high["x"] - low["x"]), entries, width=WIDTH)
    axes = figure.subplots()
    axes.set(xlim=(low["x"], high["x"]), ylim=(high["y"], low["y"]), xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(GRID)
    coloured = [(points[points["label"] == label], colour) for label, colour in colours.items()]
    for some, colour in [(others, OTHER), *coloured]:
        _dot(axes, some[["x", "y"]].to_numpy(), colour)
    wrong = points[points["wrong"]]
    axes.plot(
        wrong["x"], wrong["y"], "o", color="black", markersize=RING, markerfacecolor="none", markeredgewidth=1
    )
    _place_thumbnails(axes, mapped)
    return Chart(to_svg(figure, name), _alt(mapped))


def _sign(colour: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker="o", linestyle="none", label=label)


def _dot(axes: Axes, places: np.ndarray, colour: str) -> None:
    """Draw dots as one path of strokes without length: a tenth of the bytes of as many markers."""
    path = Path(places.repeat(2, axis=0), [Path.MOVETO, Path.LINETO] * len(places))
    path.should_simplify = False
    axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=DOT, capstyle="round"))


def _place_thumbnails(axes: Axes, mapped: Mapped) -> None:
    """Put each beside its dot, away from the middle, where there is room."""
    places = mapped.points[["x", "y"]].to_numpy(np.float64)
    for row, pixels in zip(mapped.outliers, mapped.thumbnails, strict=True):
        x, y = places[row]
        away = np.array([x - 0.5, 0.5 - y]) / (np.hypot(x - 0.5, y - 0.5) or 1)
        image = OffsetImage(pixels, zoom=THUMBNAIL / mapped.side, interpolation="nearest")
        box: dict[str, Any] = {"xybox": 26 * away, "boxcoords": "offset points", "frameon": False, "pad": 0}
        axes.add_artist(AnnotationBbox(image, (x, y), arrowprops={"arrowstyle": "-"}, **box))


def _alt(mapped: Mapped) -> str:
    points = mapped.points
    return (
        f"Map of {len(points):,} images of {points['label'].nunique():,} classes by their features; "
        f"{int(points['wrong'].sum()):,} test images that {mapped.method} got wrong have rings, "
        f"{len(mapped.outliers)} unusual images thumbnails."
    )
