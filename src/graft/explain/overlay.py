"""An image with heat on top, as a small PNG."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageColor

MAX_BYTES = 10_000
OPACITY = 0.75  # where the heat is 1
# matplotlib's `inferno` at nine equal steps: ever lighter, so that it is ordered without colours too,
# and to the colour-blind.
INFERNO = "#000004 #210c4a #57106e #8a226a #bc3754 #e45a31 #f98e09 #f9cb35 #fcffa4"
COLOURS = np.array([ImageColor.getrgb(colour) for colour in INFERNO.split()])


def draw_heat(image: np.ndarray, heat: np.ndarray, max_side: int = 128) -> bytes:
    """Draw heat over a gray copy of an image, so that no colour of the image passes for heat.

    Args:
        image: (H, W, 3) uint8.
        heat: (h, w) in [0, 1], over the whole image; stretched to it.
        max_side: pixels of the longer side, where the image has as many; its aspect ratio stays.

    Returns:
        A PNG of at most 64 colours and `MAX_BYTES` bytes, the same for the same arguments.
    """
    small = Image.fromarray(image).convert("L")
    small.thumbnail((max_side, max_side), Image.Resampling.BOX)
    gray = np.asarray(small, np.float32)[..., None]
    stretched = Image.fromarray(heat.astype(np.float32)).resize(small.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(stretched), 0, 1)[..., None]  # bicubic may overshoot
    mixed = gray + OPACITY * level * (_colour(level[..., 0]) - gray)
    return _encode(Image.fromarray(np.rint(mixed).astype(np.uint8)))


def _colour(level: np.ndarray) -> np.ndarray:
    steps = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(level, steps, channel) for channel in COLOURS.T], axis=-1)


def _encode(image: Image.Image) -> bytes:
    """The PNG with as many colours as fit: 64 for a photograph, fewer for noise."""
    for n_colours in (64, 32, 16):
        file = BytesIO()
        # Not by median cut, which gives gray petals the hue of the heat beside them.
        palette = image.quantize(n_colours, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        palette.save(file, "PNG", optimize=True)
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()
