"""Outputs of a model -> scores -> the class that it predicts. Without Keras, for exported files as well."""

import numpy as np


def class_scores(outputs: np.ndarray) -> np.ndarray:
    """(n, n_classes) probabilities from a model's outputs: a sigmoid's p becomes (1 - p, p)."""
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def decide(scores: np.ndarray) -> np.ndarray:
    """Apply the decision rule: the class of the highest score, the first on a tie.

    With two classes it is class 1 from a score of 0.5 on, as for a sigmoid.

    Args:
        scores: (n, n_classes) probabilities.

    Returns:
        (n,) class numbers.

    Examples:
        >>> decide(np.array([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])).tolist()
        [1, 0]
        >>> decide(np.array([[0.5, 0.5]])).tolist()
        [1]
    """
    if scores.shape[1] == 2:
        return np.asarray(scores[:, 1] >= 0.5, dtype=np.intp)
    return np.asarray(scores.argmax(axis=1), dtype=np.intp)
