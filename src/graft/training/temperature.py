"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): logits divided by one number. Without Keras."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from graft.training.decision import decide

BOUNDS = (0.01, 100.0)


def temper(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities (n, n_classes) by a temperature, in float64.

    The inverse is ``temper(scores, 1 / temperature)``.

    >>> temper(np.array([[0.2, 0.8]]), 2).round(3)
    array([[0.333, 0.667]])
    """
    return np.asarray(np.exp(_log_scores(scores, 1 / temperature)))


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature with the lowest log loss.

    Where all images are right, the loss would only fall with the temperature, down to certainty: it stays 1.

    Args:
        scores: (n, n_classes) probabilities of the validation images.
        labels: (n,) their class numbers.

    Returns:
        A positive number with four digits; 1 where no other is better.
    """

    def loss(temperature: float) -> float:
        return float(-_log_scores(scores, 1 / temperature)[np.arange(len(labels)), labels].mean())

    if (decide(scores) == labels).all():
        return 1.0
    low, high = np.log(BOUNDS)
    found = minimize_scalar(lambda log: loss(np.exp(log)), bounds=(low, high), options={"xatol": 1e-6})
    temperature = float(f"{np.exp(found.x):.4g}")
    return temperature if loss(temperature) < loss(1.0) else 1.0


def _log_scores(scores: np.ndarray, factor: float) -> np.ndarray:
    """The logarithms of probabilities whose logits are multiplied by a factor."""
    # Of a sigmoid that rounds to 1, float32 leaves nothing below half its last bit.
    least = 2.0**-25 if scores.shape[1] == 2 else float(np.finfo(np.float32).tiny)
    logits = np.log(np.where(scores > 0, scores, least).astype(np.float64))
    return np.asarray(log_softmax(logits * factor, axis=1))
