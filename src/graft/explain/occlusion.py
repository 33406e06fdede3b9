"""Occlusion: the places of an image that a score needs (Zeiler and Fergus, arXiv 1311.2901, section 4.2)."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from math import ceil

import numpy as np

# From images (size, size, channels), uint8, to the score of one class for each: (n,).
Score = Callable[[Iterable[np.ndarray]], np.ndarray]
STEPS = 3  # places of the square in each direction before it covers all others than at first


def occlude(score: Score, pixels: np.ndarray, share: float) -> np.ndarray:
    """Measure by how much a score falls where a square of the image's mean colour covers the image.

    Args:
        score: of a class.
        pixels: (size, size, channels) uint8.
        share: side of the square, as a share of the image's.

    Returns:
        (size, size) float64: the mean fall over the squares on a pixel; negative where the score rises.
    """
    size, side = len(pixels), max(1, round(share * len(pixels)))
    starts = np.linspace(0, size - side, ceil(STEPS * (size - side) / side) + 1).round().astype(int)
    squares = [np.s_[y : y + side, x : x + side] for y, x in product(starts, starts)]
    falls = score([pixels])[0] - score(_cover(pixels, squares))
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for square, fall in zip(squares, falls, strict=True):
        total[square] += fall
        count[square] += 1
    return np.asarray(total / count)


def mean_colour(pixels: np.ndarray) -> np.ndarray:
    """The colour that a hidden part of an image has: (channels,) uint8."""
    return np.asarray(pixels.mean((0, 1)).round().astype(np.uint8))


def _cover(pixels: np.ndarray, squares: Iterable[tuple[slice, slice]]) -> Iterator[np.ndarray]:
    for square in squares:
        covered = pixels.copy()
        covered[square] = mean_colour(pixels)
        yield covered
