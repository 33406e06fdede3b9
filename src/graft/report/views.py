"""Training images and the views of them that methods learn from, drawn with NumPy and SciPy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.ndimage import map_coordinates

from graft.config.features import Augmentation
from graft.data.augmentation import OPERATIONS, compose_moves, draw_batch

SHOWN = 4  # training images, and views of each
# What params.yaml calls its fill modes and interpolations, to SciPy.
FILL = {"reflect": "reflect", "wrap": "grid-wrap", "nearest": "nearest", "constant": "grid-constant"}
ORDER = {"bilinear": 1, "nearest": 0}


def choose_originals(manifest: pd.DataFrame) -> list[str]:
    """Choose the keys of `SHOWN` training images, of as many classes as there are: the smallest of each."""
    train = manifest[manifest["split"] == "train"].sort_values("key")
    turn = train.groupby("label").cumcount()
    rows = train.assign(turn=turn).sort_values(["turn", "label"])
    return list(rows["key"][:SHOWN])


def draw_views(image: np.ndarray, key: str, views: Sequence[int], spec: Augmentation) -> list[np.ndarray]:
    """Draw views of an image: those of `graft.data.augmentation.augment`, but for rounding.

    With ``wrap`` a seam may differ: there Keras has a period that depends on the place.

    Args:
        image: (H, W, channels) uint8.
        key: of the image.
        views: their numbers, from 1.
        spec: the ranges of the operations.

    Returns:
        As many arrays of the image's shape, uint8.
    """
    draws = draw_batch([key] * len(views), views, spec)
    drawn = np.repeat(image[None].astype(np.float32), len(views), axis=0)
    matrices = compose_moves(draws, spec, (image.shape[0], image.shape[1]))
    if matrices is not None:
        drawn = np.stack([_move(one, each, spec) for one, each in zip(drawn, matrices, strict=True)])
    for name, u in draws.items():
        if not OPERATIONS[name].moves:
            mean = drawn.mean(axis=(1, 2), keepdims=True)
            drawn = OPERATIONS[name].apply(drawn, u, getattr(spec, name), mean, 255.0).clip(0, 255)
    return list(np.rint(drawn).astype(np.uint8))


def _move(image: np.ndarray, matrix: np.ndarray, spec: Augmentation) -> np.ndarray:
    """Take each pixel from the place to which a (3, 3) matrix leads from it."""
    y, x = np.indices(image.shape[:2], dtype=np.float32)
    across, down, scale = np.einsum("ij,jhw->ihw", matrix, np.stack([x, y, np.ones_like(x)]))
    places = np.stack([down / scale, across / scale])
    how = {"order": ORDER[spec.interpolation], "mode": FILL[spec.fill_mode]}
    channels = [map_coordinates(channel, places, **how) for channel in np.moveaxis(image, -1, 0)]
    return np.stack(channels, axis=-1)
