"""Encoded images -> thumbnails that stand in the page itself."""

from base64 import b64encode
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image

from graft.data.images import decode

LONGEST = 224  # pixels of the longer side: what a click enlarges it to
TINY = 64  # pixels: what is no longer than this is kept lossless and enlarged without smoothing
QUALITY = 70


class Thumbnail(NamedTuple):
    """An image in the page: a ``data:`` URI, its size in pixels, and whether to enlarge it unsmoothed."""

    uri: str
    width: int
    height: int
    tiny: bool


def make_thumbnail(data: bytes) -> Thumbnail:
    """Make a thumbnail: at most `LONGEST` pixels on the longer side, the aspect ratio kept.

    Args:
        data: an encoded image.

    Raises:
        graft.data.images.ImageError: if it does not decode.
    """
    return draw_thumbnail(decode(data))


def draw_thumbnail(pixels: np.ndarray) -> Thumbnail:
    """Make a thumbnail of (H, W, 3) uint8, as `make_thumbnail` does."""
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    tiny = max(image.size) <= TINY
    file = BytesIO()
    image.save(file, "WEBP", lossless=tiny, quality=QUALITY)
    uri = f"data:image/webp;base64,{b64encode(file.getvalue()).decode('ascii')}"
    return Thumbnail(uri, image.width, image.height, tiny)
