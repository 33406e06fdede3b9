"""Out-of-fold scores and labels -> the labels that may be wrong, and the classes that overlap."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from graft.evaluation.confusion import count_confusions


def find_suspects(
    manifest: pd.DataFrame, scores: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """List the images whose label may be wrong, by confident learning.

    Northcutt et al. 2021: an image counts as of another class where that class's score exceeds the mean of
    those that have the label. https://doi.org/10.1613/jair.1.12125

    Args:
        manifest: frame ``key, path, label, split``.
        scores: (n, n_classes) of these images, out of fold.
        labels: (n,) their class numbers.
        classes: the labels in class order.

    Returns:
        The manifest's columns, ``suggested``, the likeliest other class, and the scores of both classes,
        ``score`` and ``suggested_score``, in [0, 1]; the lowest score first.
    """
    from cleanlab.filter import find_label_issues

    places = find_label_issues(labels, scores, return_indices_ranked_by="self_confidence", n_jobs=1)
    others, own = scores[places], (np.arange(len(places)), labels[places])
    score = others[own]
    others[own] = -1
    suspects: pd.DataFrame = manifest.iloc[places].reset_index(drop=True)
    suspects["suggested"] = np.array(classes, dtype=object)[others.argmax(1)]
    suspects["score"], suspects["suggested_score"] = score, others.max(1)
    return suspects


def find_overlaps(manifest: pd.DataFrame, scores: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Count the pairs of classes that images were taken for, as `count_confusions` does."""
    return count_confusions(manifest["label"].to_numpy(), np.array(classes, dtype=object)[scores.argmax(1)])
