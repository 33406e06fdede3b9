"""A manifest -> whether accuracy hides what becomes of its rare classes."""

import pandas as pd

IMBALANCED = 3  # times as many images as the rarest class


def is_imbalanced(manifest: pd.DataFrame) -> bool:
    """Tell if some class has more than `IMBALANCED` times as many images as another.

    >>> is_imbalanced(pd.DataFrame({"label": ["cat"] * 3 + ["dog"]}))
    False
    """
    counts = manifest["label"].value_counts()
    return bool(counts.max() > IMBALANCED * counts.min())
