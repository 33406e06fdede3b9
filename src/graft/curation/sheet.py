"""Images with captions -> a contact sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from graft.data.images import decode

SIDE, GAP, LINE = 160, 8, 16  # pixels: of an image, between two, and of a line of text
ROW = SIDE + 2 * LINE + GAP
LONGEST = 65_000  # pixels of a side: what a JPEG takes


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
        ValueError: if a side would be longer than `LONGEST` pixels.
    """
    width, height = GAP + max(map(len, rows)) * (SIDE + GAP), GAP + len(rows) * ROW
    if max(width, height) > LONGEST:
        raise ValueError(
            f"a sheet of {width:,} x {height:,} pixels, expected {LONGEST:,} at most: take fewer images"
        )
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), _load_font()
    for y, row in enumerate(rows):
        for x, (image, caption) in enumerate(row):
            left, top = GAP + x * (SIDE + GAP), GAP + y * ROW
            sheet.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))
            for n, text in enumerate(caption):
                pen.text((left, top + SIDE + n * LINE), _shorten(text, font), "black", font)
    return sheet


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
