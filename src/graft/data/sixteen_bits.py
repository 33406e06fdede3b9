"""PNG files of 16 bits a channel, of whose colours Pillow keeps the upper 8 alone."""

from io import BytesIO

import numpy as np
from PIL import Image

MAX_BITS = 16
SIGNATURE, DEPTH = b"\x89PNG\r\n\x1a\n", 24  # a PNG file begins with this; the place of its bits a channel
# How Pillow reads the pixels of a file, and how it would read their lower bytes, into the same channels.
# https://pillow.readthedocs.io/en/stable/handbook/writing-your-own-image-plugin.html
LOWER = {"LA;16B": "RGBA", "RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}


def read_samples(data: bytes) -> np.ndarray | None:
    """Read an image's colours without a loss: (H, W) or (H, W, 3) uint16; None if it has fewer than 16 bits.

    Raises what Pillow raises if it does not decode.
    """
    if not data.startswith(SIGNATURE) or data[DEPTH : DEPTH + 1] != bytes([MAX_BITS]):
        return None
    upper, lower = (Image.open(BytesIO(data), formats=["PNG"]) for _ in range(2))
    (tile,) = upper.tile
    if tile.args not in LOWER:
        return np.asarray(upper).astype(np.uint16)
    lower.tile = [tile._replace(args=LOWER[tile.args])]
    high, low = np.asarray(upper, np.uint16), np.asarray(lower, np.uint16)
    if tile.args.startswith("LA"):
        return high[..., 0] << 8 | low[..., 1]
    return high[..., :3] << 8 | low[..., :3]


def count_bits(data: bytes) -> int | None:
    """Count the bits that the values of a 16-bit image take; None if it has fewer than 16."""
    samples = read_samples(data)
    return None if samples is None else int(samples.max()).bit_length()
