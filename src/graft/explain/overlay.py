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
GRIDS = ((16, 8), (16, 5), (8, 5))  # grays and levels of heat; the fewer are for noise


def draw_heat(image: np.ndarray, heat: np.ndarray, max_side: int = 128) -> bytes:
    """Draw heat over a gray copy of an image, so that no colour of the image passes for heat.

    Args:
        image: (H, W, 3) uint8.
        heat: (h, w) in [0, 1], over the whole image; stretched to it.
        max_side: pixels of the longer side, where the image has as many; its aspect ratio stays.

    Returns:
        A PNG of at most 128 colours and `MAX_BYTES` bytes, the same for the same arguments.
    """
    small = Image.fromarray(image).convert("L")
    small.thumbnail((max_side, max_side), Image.Resampling.BOX)
    gray = np.asarray(small, np.float32) / 255
    stretched = Image.fromarray(heat.astype(np.float32)).resize(small.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(stretched), 0, 1)  # bicubic may overshoot
    for n_grays, n_levels in GRIDS:
        numbers = np.rint(gray * (n_grays - 1)) * n_levels + np.rint(level * (n_levels - 1))
        drawn = Image.fromarray(numbers.astype(np.uint8)).convert("P")
        drawn.putpalette(_palette(n_grays, n_levels).tobytes())
        file = BytesIO()
        drawn.save(file, "PNG", optimize=True)
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()


def _palette(n_grays: int, n_levels: int) -> np.ndarray:
    """The colours of each gray under each level of heat: (n_grays * n_levels, 3) uint8."""
    grays, levels = np.linspace(0, 255, n_grays)[:, None, None], np.linspace(0, 1, n_levels)
    colours = np.stack([np.interp(levels, np.linspace(0, 1, len(COLOURS)), each) for each in COLOURS.T], -1)
    mixed = grays + OPACITY * levels[None, :, None] * (colours - grays)
    return np.rint(mixed).astype(np.uint8).reshape(-1, 3)
