"""Sampling: the rows of an epoch, and rows of rare classes that are made between cached features."""

from math import prod

import numpy as np
import pandas as pd

from graft.config.training import Sampling, check_smote

NEIGHBOURS = 5  # between which SMOTE makes a row, as its authors and imbalanced-learn have it


def draw_rows(labels: np.ndarray, sampling: Sampling, rng: np.random.Generator) -> np.ndarray:
    """Draw the row numbers of an epoch, in their order.

    Args:
        labels: (n,) class numbers.
        sampling: ``balanced`` draws n rows with replacement, each class equally likely; ``undersample`` as
            many of each class as the rarest has, others in each epoch; else each row is there once.
        rng: of the epoch.
    """
    n = len(labels)
    if sampling == "balanced":
        from sklearn.utils.class_weight import compute_sample_weight  # takes a second to import

        return rng.choice(n, n, p=compute_sample_weight("balanced", labels) / n)
    order = rng.permutation(n)
    if sampling != "undersample":
        return order
    place = pd.Series(order).groupby(labels[order]).cumcount().to_numpy()
    return np.asarray(order[place < _count(labels).min()])


def count_rows(labels: np.ndarray, sampling: Sampling) -> int:
    """Count the rows that `draw_rows` draws."""
    counts = _count(labels)
    return int(counts.min() * len(counts) if sampling == "undersample" else len(labels))


def oversample(
    x: np.ndarray, labels: np.ndarray, memory_limit: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make rows of the rarer classes until each has as many as the largest (SMOTE, arXiv 1106.1813).

    A new row lies between one of a class and one of its `NEIGHBOURS` nearest of that class; of all others
    where the rarest class has no more.

    Args:
        x: (n, ...) features.
        labels: (n,) class numbers.
        memory_limit: GB.
        seed: of the choice of rows and neighbours, and of the places between them.

    Returns:
        The rows of `x`, then the new ones, of its dtype, and the class numbers of all.

    Raises:
        ValueError: if imbalanced-learn is not installed, a class has a single row, or memory is too small.
    """
    check_smote("smote")
    from imblearn.over_sampling import SMOTE

    counts, shape = _count(labels), x.shape[1:]
    if counts.min() < 2:
        raise ValueError(
            "sampling=smote makes rows between two images of a class: expected at least 2 training images of "
            "each, received a class of 1; set sampling to undersample, or leave it out by split.min_per_class"
        )
    needed = counts.max() * len(counts) * prod(shape) * (4 + x.itemsize) / 1e9
    if needed > memory_limit:
        raise ValueError(
            f"sampling=smote needs {needed:.2f} GB for {counts.max() * len(counts):,} features of "
            f"shape={shape}, of which the limit leaves {memory_limit:g}; raise features.memory_limit, set "
            "pooling of the backbone to avg, or sampling to undersample"
        )
    made = SMOTE(k_neighbors=min(NEIGHBOURS, int(counts.min()) - 1), random_state=seed)
    rows, numbers = made.fit_resample(x.reshape(len(x), -1).astype(np.float32), labels)
    return rows.astype(x.dtype).reshape(-1, *shape), numbers


def _count(labels: np.ndarray) -> np.ndarray:
    """The rows of each class that has any."""
    return np.unique(labels, return_counts=True)[1]
