"""LIME and SHAP: the superpixels of an image that speak for a class, each by hiding many sets of them.

Both need the extra ``explain``. A superpixel is an area of one colour; one that is hidden has the image's
mean colour.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from graft.explain.occlusion import Score, mean_colour

N_SUPERPIXELS = 50  # or about so many
KERNEL_WIDTH = 0.25  # of LIME, as its own explainer of images has it


class Speaking(NamedTuple):
    """The part that each superpixel has in a score.

    Attributes:
        heat: (size, size) float64: the part of the superpixel at each place, negative if it speaks against.
        n_superpixels: how many there are.
        quality: of LIME R² of its linear model, at most 1; of SHAP the sum of all parts.
    """

    heat: np.ndarray
    n_superpixels: int
    quality: float


def explain_by_lime(score: Score, pixels: np.ndarray, n_samples: int, seed: int) -> Speaking:
    """Fit a linear model to scores of images with hidden superpixels (Ribeiro et al., arXiv 1602.04938).

    Args:
        score: of a class.
        pixels: (size, size, channels) uint8.
        n_samples: images to score; each superpixel is hidden in half of them, near ones weigh more.
        seed: of what is hidden.
    """
    from lime.lime_base import LimeBase

    segments = find_superpixels(pixels)
    shown = np.random.default_rng(seed).integers(0, 2, (n_samples, segments.max() + 1))
    shown[0] = 1
    scores = score(_hide(pixels, segments, shown))
    base = LimeBase(_kernel, random_state=seed)
    distances = 1 - np.sqrt(shown.mean(1))  # of cosine, to the image with nothing hidden
    _, parts, r2, _ = base.explain_instance_with_data(
        shown, scores[:, None], distances, 0, shown.shape[1], feature_selection="none"
    )
    by_number = np.array([part for _, part in sorted(parts)])
    return Speaking(by_number[segments], len(by_number), float(r2))


def explain_by_shap(score: Score, pixels: np.ndarray, n_samples: int, seed: int) -> Speaking:
    """Estimate Shapley values by hiding superpixels in random orders (Lundberg and Lee, arXiv 1705.07874).

    Args:
        score: of a class.
        pixels: (size, size, channels) uint8.
        n_samples: images to score, at most; but at least those of one order and its reverse.
        seed: of the orders; NumPy's global generator gets it.
    """
    from shap.explainers import PermutationExplainer

    segments = find_superpixels(pixels)
    n = int(segments.max()) + 1
    explainer = PermutationExplainer(
        lambda shown: score(_hide(pixels, segments, shown)), np.zeros((1, n)), seed=seed
    )
    evaluations = max(n_samples, 2 * n + 1)
    found = explainer(np.ones((1, n)), max_evals=evaluations, batch_size=evaluations, silent=True)
    parts = found.values[0]
    return Speaking(parts[segments], n, float(parts.sum()))


def find_superpixels(pixels: np.ndarray) -> np.ndarray:
    """Number the superpixels of (size, size, channels) pixels (SLIC): (size, size), from 0 on."""
    from skimage.segmentation import slic

    found = slic(pixels, n_segments=N_SUPERPIXELS, compactness=10, start_label=0, channel_axis=-1)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def _hide(pixels: np.ndarray, segments: np.ndarray, shown: np.ndarray) -> Iterator[np.ndarray]:
    colour = mean_colour(pixels)
    for row in shown.astype(bool):
        yield np.where(row[segments][..., None], pixels, colour)


def _kernel(distances: np.ndarray) -> Any:
    return np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))
