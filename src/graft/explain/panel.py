"""An image beside its explanation, and feature maps side by side, as PNG files for people."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil

import numpy as np
from PIL import Image, ImageDraw

SIDE, GAP = 448, 8  # pixels: the longer side of an image, and between two
TILE, ACROSS = 96, 8  # pixels of a feature map, of which so many stand in a row
FOR, AGAINST, OPACITY = np.array([255, 96, 0]), np.array([0, 112, 255]), 0.75


def draw_beside(image: np.ndarray, heat: np.ndarray) -> bytes:
    """Draw an image, and beside it in gray with heat on top.

    Args:
        image: (H, W, 3) uint8.
        heat: (h, w), over the whole image: what speaks for something, and negative what speaks against.

    Returns:
        A PNG, the same for the same arguments: orange is for, blue against, the fuller the more.
    """
    left = Image.fromarray(image)
    left.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    stretched = Image.fromarray(heat.astype(np.float32)).resize(left.size, Image.Resampling.BICUBIC)
    level = np.asarray(stretched)[..., None] / (np.abs(heat).max() or 1)
    level = level.clip(-1, 1)  # bicubic may overshoot
    gray = np.asarray(left.convert("L"), np.float32)[..., None]
    mixed = gray + OPACITY * np.abs(level) * (np.where(level > 0, FOR, AGAINST) - gray)
    sheet = Image.new("RGB", (2 * left.width + GAP, left.height), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(Image.fromarray(np.rint(mixed).astype(np.uint8)), (left.width + GAP, 0))
    return _to_png(sheet)


def draw_tiles(maps: np.ndarray, names: Sequence[str]) -> bytes:
    """Draw maps (h, w, n) in [0, 1] in rows, each with its name: a PNG, the same for the same arguments."""
    columns, step = min(ACROSS, len(names)), TILE + GAP
    sheet = Image.new("RGB", (columns * step - GAP, ceil(len(names) / columns) * step - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, name in enumerate(names):
        place = (number % columns * step, number // columns * step)
        tile = Image.fromarray(np.rint(255 * maps[..., number]).astype(np.uint8))
        sheet.paste(tile.resize((TILE, TILE), Image.Resampling.NEAREST), place)
        draw.text((place[0] + 3, place[1] + 1), name, "#ff8000", stroke_width=1, stroke_fill="black")
    return _to_png(sheet)


def _to_png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
