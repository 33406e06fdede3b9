"""Images with captions -> a contact sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from graft.data.images import decode
from graft.utils.terminal import printable

SIDE, GAP, LINE = 160, 8, 16  # pixels: of an image, between two, and of a line of text
ROW = SIDE + 2 * LINE + GAP
LONGEST, MOST_PIXELS = 16_383, 100_000_000  # of a side, as WebP has it; of all


class Tile(NamedTuple):
    """An image of at most `SIDE` pixels, and two lines of text below it."""

    image: Image.Image
    caption: tuple[str, str]


def make_tile(data: bytes, caption: tuple[str, str]) -> Tile:
    """Make a tile of an encoded image; raises an ImageError if it does not decode."""
    image = Image.fromarray(decode(data))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Tile(image, caption)


def draw_sheet(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Draw a contact sheet, one row of tiles below the other.

    Raises:
        ValueError: if it would be too large.
    """
    sheet = Image.new("RGB", measure_sheet(len(rows), max(map(len, rows))), "white")
    pen, font = ImageDraw.Draw(sheet), _load_font()
    for y, row in enumerate(rows):
        for x, (image, caption) in enumerate(row):
            left, top = GAP + x * (SIDE + GAP), GAP + y * ROW
            sheet.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))
            for n, text in enumerate(caption):
                pen.text((left, top + SIDE + n * LINE), _shorten(printable(text, 100), font), "black", font)
    return sheet


def measure_sheet(n_rows: int, n_columns: int) -> tuple[int, int]:
    """The width and the height of a sheet in pixels.

    Raises:
        ValueError: if a side is longer than `LONGEST`, or all have more than `MOST_PIXELS`.
    """
    width, height = GAP + n_columns * (SIDE + GAP), GAP + n_rows * ROW
    if max(width, height) > LONGEST or width * height > MOST_PIXELS:
        raise ValueError(
            f"a sheet of {width:,} x {height:,} pixels, expected sides of {LONGEST:,} at most and "
            f"{MOST_PIXELS:,} in all: take fewer images, or a lower -k"
        )
    return width, height


def _shorten(text: str, font: ImageFont.FreeTypeFont) -> str:
    """Shorten a text to the width of an image."""
    shown = text
    while font.getlength(shown) > SIDE:
        text = text[:-1]
        shown = f"{text}…"
    return shown


def _load_font() -> ImageFont.FreeTypeFont:
    import matplotlib as mpl  # whose font has more characters than Pillow's

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 12)
