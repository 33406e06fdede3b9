"""A photo with heat on top, as a small PNG."""

from io import BytesIO

import numpy as np
from PIL import Image

MAX_BYTES = 10_000
OPACITY = 0.75  # where the heat is 1
# matplotlib's `inferno` at nine equal steps: ever lighter, so that it is ordered without colours too,
# and to the colour-blind.
COLOURS = np.array(
    [
        (0, 0, 4),
        (33, 12, 74),
        (87, 16, 110),
        (138, 34, 106),
        (188, 55, 84),
        (228, 90, 49),
        (249, 142, 9),
        (249, 203, 53),
        (252, 255, 164),
    ]
)


def draw_heat(photo: np.ndarray, heat: np.ndarray, max_side: int = 128) -> bytes:
    """Draw heat over a gray copy of a photo, so that no colour of the photo passes for heat.

    Args:
        photo: (H, W, 3) uint8.
        heat: (h, w) in [0, 1], over the whole photo; stretched to it.
        max_side: pixels of the longer side, where the photo has as many; its aspect ratio stays.

    Returns:
        A PNG of at most 64 colours and `MAX_BYTES` bytes, the same for the same arguments.
    """
    image = Image.fromarray(photo).convert("L")
    image.thumbnail((max_side, max_side), Image.Resampling.BOX)
    gray = np.asarray(image, np.float32)[..., None]
    stretched = Image.fromarray(heat.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(stretched), 0, 1)[..., None]  # bicubic may overshoot
    mixed = gray + OPACITY * level * (_colour(level[..., 0]) - gray)
    return _encode(Image.fromarray(np.rint(mixed).astype(np.uint8)))


def _colour(level: np.ndarray) -> np.ndarray:
    steps = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(level, steps, channel) for channel in COLOURS.T], axis=-1)


def _encode(image: Image.Image) -> bytes:
    """The PNG of as many colours as fit: a photo takes 64, noise does not."""
    for n_colours in (64, 32, 16):
        file = BytesIO()
        # Not by median cut, which gives gray petals the hue of the heat beside them.
        palette = image.quantize(n_colours, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        palette.save(file, "PNG", optimize=True)
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()
