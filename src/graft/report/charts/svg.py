"""A matplotlib figure -> SVG to stand inside an HTML page: light and dark, byte-stable.

A chart's SVG has no width and height but a viewBox and, in its style, the range of widths (CSS pixels)
in which its text is readable. Text inherits the page's font; what is black takes the page's text
colour (``currentColor``), the grid the page's ``--grid``. A page lets what is wider than it scroll:
``overflow-x: auto`` on the element around the SVG. The class says what fits a phone: two ``small`` ones
side by side, a ``usual`` one, or a part of a ``wide`` one.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.figure import Figure

GRID = "#b0b1b2"  # nothing else has it: it becomes var(--grid)
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a class may be called $x$
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same widths on every machine
    **dict.fromkeys(["font.size", "axes.titlesize"], 9),
    **dict.fromkeys(["xtick.labelsize", "ytick.labelsize", "legend.fontsize"], 8.5),
    **dict.fromkeys(["xtick.major.size", "ytick.major.size", "xtick.minor.size", "ytick.minor.size"], 0),
    **dict.fromkeys(["axes.linewidth", "grid.linewidth"], 0.6),
    **dict.fromkeys(["axes.spines.top", "axes.spines.right", "legend.frameon"], False),
    **dict.fromkeys(["axes.axisbelow", "axes.grid"], True),
    "grid.color": GRID,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "lines.solid_capstyle": "butt",
}


class Chart(NamedTuple):
    """A chart: its SVG, to be written into a page as it is, and what it shows in words, not yet escaped."""

    svg: str
    alt: str


@contextmanager
def drawing() -> Iterator[None]:
    """The style in which a chart is drawn, from the making of its figure to its SVG."""
    with warnings.catch_warnings(), style.context(["default", STYLE]):
        # matplotlib measures text in its own font. Which glyphs that lacks is no matter: text stays
        # text, and the reader's browser draws it.
        warnings.filterwarnings("ignore", r"(?s)Glyph .* missing from font", UserWarning)
        yield


def to_svg(figure: Figure, name: str) -> str:
    """Write a figure as SVG for the inside of a page. To be called within `drawing`.

    Args:
        figure: its size in inches gives the viewBox, 72 units an inch.
        name: every id begins with it; no two charts of a page may have the same.

    Raises:
        ValueError: if the name cannot begin an id.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII):
        raise ValueError(f"a chart's name must be a letter, then letters, digits, - and _, received {name=}")
    stream = BytesIO()
    metadata = dict.fromkeys(["Creator", "Date", "Format", "Type"])
    figure.savefig(stream, format="svg", transparent=True, metadata=metadata)
    root = ElementTree.fromstring(stream.getvalue())
    _clean(root)
    _rename(root, name)
    width = 72 * figure.get_figwidth()
    size = "wide" if width > 360 else "usual" if width > 200 else "small"
    least, most = (width if size == "wide" else 0.8 * width), (1.7 if size == "small" else 2.2) * width
    # What matplotlib writes as `* { ... }`, which in a page would be the style of everything.
    joins = "stroke-linejoin: round; stroke-linecap: butt"
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": root.attrib["viewBox"],
        "class": size,
        "fill": "currentColor",
        "style": f"min-width: {least:.0f}px; max-width: {most:.0f}px; {joins}",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _clean(root: ElementTree.Element) -> None:
    """Drop metadata and global styles, namespaces, fonts and needless digits; black and grid get names."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.tail = None
        if element.tag != "text":
            element.text = None
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        element.attrib = {key: _clean_value(value) for key, value in attributes.items()}


def _clean_value(value: str) -> str:
    value = re.sub(r"font-family: [^;]*;? ?", "", value)
    value = value.replace("#000000", "currentColor").replace(GRID, "var(--grid)")
    value = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
    return value.replace("\n", "").strip()


def _rename(root: ElementTree.Element, name: str) -> None:
    """Number the ids that something refers to, and drop the others."""
    refers = re.compile(r"(?<=url\(#)[^)]+|(?<=^#).+")
    values = [value for element in root.iter() for key, value in element.attrib.items() if key != "id"]
    wanted = dict.fromkeys(found[0] for value in values for found in refers.finditer(value))
    ids = {old: f"{name}-{number}" for number, old in enumerate(wanted, 1)}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            element.attrib[key] = refers.sub(lambda found: ids[found[0]], value)
        if old in ids:
            element.attrib["id"] = ids[old]
