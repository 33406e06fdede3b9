"""The charts that show classes: confusion matrix, precision, recall and F1, images per split."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.cells import cell_len

from graft.config.types import SPLITS
from graft.methods.registry import BLUE, METHODS
from graft.report.charts.style import LETTER, WIDTH, make_figure, number_ticks, shorten
from graft.report.charts.svg import GRID, Chart, drawing, to_svg
from graft.report.words import percent

TEXT_UP_TO = 15  # classes: more have cells too small for text
TEXT_CELLS = 0.36, 0.7  # inches: the smallest and the largest cell with text
CELL = 0.165  # inches: a cell without text
WIDEST = 9.2  # inches: what an A4 page holds at one unit a CSS pixel
# Of a cell with one image of many, and of one with all of its row: the first is seen, and on the last
# text is readable, on light and dark pages.
FAINT, FULL = 0.1, 0.7
COLOURS = LinearSegmentedColormap.from_list("shares", [(BLUE, FAINT), (BLUE, FULL)])


@drawing()
def confusion(name: str, method: str, matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Chart:
    """A method's confusion matrix: counts, and their share of the row as text and as colour.

    With more than 15 classes there is no text in the cells but a key to the colours, and the chart is wider.

    Args:
        matrix: rows true, columns predicted, in class order: test images.
        classes: labels in class order.
    """
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n, labels = len(classes), shorten(classes)
    many, margin = n > TEXT_UP_TO, 0.4 + LETTER * max(map(cell_len, labels))
    least, most = (CELL, CELL) if many else TEXT_CELLS
    side = min(max(WIDTH - margin, least * n), most * n, WIDEST - margin)
    across = margin - 0.4 < side / n
    figure = make_figure(0, [], labels)
    if many:
        key = [Patch(color=COLOURS(s), label=f"{100 * s:.0f} %") for s in np.linspace(0.2, 1, 5)]
        figure.legend(handles=key, loc="outside upper left", ncols=5, handlelength=0.8)
    figure.set_size_inches(margin + side, side + (0.5 if across else margin) + 0.3 * many)
    axes = figure.subplots()
    axes.set_box_aspect(1)
    _draw_cells(axes, shares)
    step = ceil(0.1 * n / side)
    options: dict[str, Any] = {"labels": labels[::step], "fontsize": min(8.5, 54 * step * side / n)}
    # Anchored, as the reader's font is as wide as it is: mpl would place what it has measured.
    up: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "rotation_mode": "anchor"}
    axes.set_xticks(range(0, n, step), **options, **({} if across else up))
    axes.set_yticks(range(0, n, step), **options)
    axes.set(xlabel="predicted", ylabel="true", xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    if not many:
        _write_cells(axes, counts, shares, side / n)
    return Chart(to_svg(figure, name), _confusion_alt(method, counts, classes))


def _draw_cells(axes: Axes, shares: np.ndarray) -> None:
    edges = np.arange(len(shares) + 1) - 0.5
    grid: dict[str, Any] = {"edgecolors": GRID, "linewidth": 0.6 if len(shares) <= TEXT_UP_TO else 0.3}
    axes.grid(False)
    axes.spines[:].set_visible(False)
    cells = np.ma.masked_equal(shares, 0)
    axes.pcolormesh(edges, edges, cells, cmap=COLOURS, vmin=0, vmax=1, clip_on=False, **grid)


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, inches: float) -> None:
    size = min(9, 72 * inches / (0.66 * max(5, len(f"{counts.max():,}"))))
    for (row, column), count in np.ndenumerate(counts):
        if count:  # two texts, as lines of one would not be centred in another font than matplotlib's
            share = f"{100 * shares[row, column]:.0f} %"
            axes.text(column, row, f"{count:,}", ha="center", va="bottom", fontsize=size)
            axes.text(column, row, share, ha="center", va="top", fontsize=size)
        else:
            axes.text(column, row, "0", ha="center", va="center", fontsize=size, alpha=0.7)


def _confusion_alt(method: str, counts: np.ndarray, classes: Sequence[str]) -> str:
    right, total = int(np.trace(counts)), int(counts.sum())
    said = f"Confusion matrix of {method}: {right:,} of {total:,} test images of {len(classes)} classes right"
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return f"{said}, no image was mistaken."
    row, column = np.unravel_index(wrong.argmax(), wrong.shape)
    images = "image" if wrong[row, column] == 1 else "images"
    worst = f"{wrong[row, column]:,} {images} of {classes[row]} predicted as {classes[column]}"
    return f"{said}; the most frequent mistake: {worst}."


@drawing()
def per_class(name: str, quantity: str, tables: Mapping[str, pd.DataFrame]) -> Chart:
    """Precision, recall or F1 of each class, a thin bar a method that ends in its marker.

    Args:
        quantity: ``precision``, ``recall`` or ``f1``.
        tables: method -> frame ``label`` and the quantity, in [0, 1]; the same labels of at least one method.
    """
    labels = shorten(list(next(iter(tables.values()))["label"]), 14)
    figure, axes = _rows(labels, 0.09 * len(tables) + 0.1)
    for i, (method, table) in enumerate(tables.items()):
        y = np.arange(len(labels)) + (i - (len(tables) - 1) / 2) * 0.8 / len(tables)
        colour, marker = METHODS[method].colour, METHODS[method].marker
        axes.hlines(y, 0, table[quantity], colors=colour, linewidths=1.6)
        axes.plot(table[quantity], y, marker, color=colour, markersize=3.6, clip_on=False)
    axes.set(xlim=(0, 1), xlabel="%")
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100"])
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    return Chart(to_svg(figure, name), _per_class_alt(quantity, tables))


def _rows(labels: Sequence[str], height: float, entries: Sequence[Artist] = ()) -> tuple[Figure, Axes]:
    """A figure with a row of `height` inches a label, the first on top."""
    figure = make_figure(height * len(labels) + 0.65, entries, labels)
    axes = figure.subplots()
    axes.set(ylim=(len(labels) - 0.5, -0.5))
    axes.set_yticks(range(len(labels)), labels)
    axes.grid(False, axis="y")
    return figure, axes


def _per_class_alt(quantity: str, tables: Mapping[str, pd.DataFrame]) -> str:
    parts = []
    for method, table in tables.items():
        of = table.set_index("label")[quantity]
        low, high = (f"{percent(of[label])} % ({label})" for label in map(str, (of.idxmin(), of.idxmax())))
        parts.append(f"{method} between {low} and {high}")
    named = "F1" if quantity == "f1" else quantity.capitalize()
    return f"{named} of each class: {'; '.join(parts)}."


@drawing()
def images_per_class(name: str, counts: pd.DataFrame) -> Chart:
    """The number of images of each class in train, validation and test, as `count_by_split` gives them."""
    texts = [" + ".join(f"{n:,}" for n in numbers) for numbers in counts.to_numpy()]
    edge: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.6}
    shades = {split: ("black", shade) for split, shade in zip(SPLITS, (0.75, 0.35, 0.0), strict=True)}
    entries = [Patch(facecolor=shade, label=split, **edge) for split, shade in shades.items()]
    figure, axes = _rows(shorten(list(counts.index)), 0.24, entries)
    left = np.zeros(len(counts))
    for split, shade in shades.items():
        bars = axes.barh(range(len(counts)), counts[split], 0.62, left, facecolor=shade, **edge)
        left += counts[split].to_numpy()
    axes.bar_label(bars, texts, padding=4)
    axes.set(xlabel="images", xlim=(0, 1.02 * max(left)))
    axes.xaxis.set_major_formatter(number_ticks())
    return Chart(to_svg(figure, name), _images_alt(counts))


def _images_alt(counts: pd.DataFrame) -> str:
    totals = counts.sum(axis=1)
    splits = ", ".join(f"{counts[split].sum():,} in {split}" for split in SPLITS)
    least, most = totals.min(), totals.max()
    each = f"{most:,} of each" if least == most else f"{least:,} to {most:,} of each"
    return f"Images of each class and split: {len(counts)} classes, {each}; {splits}."
