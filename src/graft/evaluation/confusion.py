"""Decisions -> the classes taken for each other, and the worst classes where there are many."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

FEW = 30  # classes: of more, files in Git and the page hold the worst
PAIRS = 50  # pairs of classes taken for each other that stand there then


def count_confusions(truth: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Count how often each class was taken for each other.

    Args:
        truth: (n,) labels.
        predicted: (n,) labels of the same images.

    Returns:
        Frame ``true, predicted, n, support``: `n` of the `support` images of a class were taken for one other
        class. Sorted by n, then by the share of the class, each descending, then by the labels.

    Examples:
        >>> count_confusions(np.array(["a", "b", "b"]), np.array(["b", "b", "b"])).to_dict("records")
        [{'true': 'a', 'predicted': 'b', 'n': 1, 'support': 1}]
    """
    both = pd.DataFrame({"true": truth, "predicted": predicted})
    pairs = both[both["true"] != both["predicted"]].value_counts(sort=False).reset_index(name="n")
    pairs["support"] = pairs["true"].map(both["true"].value_counts())
    order = ["n", "support", "true", "predicted"]
    return pairs.sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def worst_classes(per_class: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Select the `FEW` rows of the lowest ``f1``, lowest first; as they are where there are no more."""
    if len(per_class) <= FEW:
        return list(per_class)
    return sorted(per_class, key=lambda row: row["f1"])[:FEW]
