"""Weights for the mean of several methods' scores: all equal, or chosen on validation images."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from graft.training.decision import decide
from graft.training.fit import best_epoch

DRAWS = 100
LEAST = 1e-12  # probability of which a logarithm is taken


def weigh(
    scores: np.ndarray, y_true: np.ndarray, how: Literal["equal", "validation"]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Choose weights that are at least 0 and sum to 1.

    Args:
        scores: (k, n, n_classes) probabilities that k models give the validation images.
        y_true: (n,) class numbers.
        how: ``equal``, or ``validation`` for those with the lowest log loss of the ones that `select` tries.

    Returns:
        (k,) weights, and a row for each choice that was tried: heads (how many have a weight), val_accuracy,
        val_loss (log loss, in nats).
    """
    counts = list(select(scores, y_true)) if how == "validation" else [np.ones(len(scores), int)]
    tried = []
    for count in counts:
        mean = average(scores, count / count.sum())
        right = mean[np.arange(len(y_true)), y_true]
        accuracy, loss = (decide(mean) == y_true).mean(), -np.log(np.maximum(right, LEAST)).mean()
        tried.append({"heads": np.count_nonzero(count), "val_accuracy": accuracy, "val_loss": loss})
    history = pd.DataFrame(tried)
    best = counts[best_epoch(history) - 1]
    return best / best.sum(), history


def select(scores: np.ndarray, y_true: np.ndarray) -> Iterator[np.ndarray]:
    """Draw models into the mean one by one, each time the one that makes its log loss lowest.

    One may be drawn again: its weight is its share of the draws (Caruana et al. 2004, "Ensemble selection
    from libraries of models", https://doi.org/10.1145/1015330.1015432). Unlike the real numbers that an
    optimizer would find, such weights do not differ from machine to machine.

    Args:
        scores, y_true: as of `weigh`.

    Yields:
        After each of `DRAWS` draws, (k,) how often each model was drawn.
    """
    right = scores[:, np.arange(len(y_true)), y_true]
    count, total = np.zeros(len(scores), int), np.zeros(len(y_true))
    for n in range(1, DRAWS + 1):
        losses = -np.log(np.maximum((total + right) / n, LEAST)).mean(axis=1)
        best = losses.argmin()
        count[best] += 1
        total += right[best]
        yield count.copy()


def average(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean (n, n_classes) of scores (k, n, n_classes)."""
    return np.asarray(np.tensordot(weights, scores, axes=1))
