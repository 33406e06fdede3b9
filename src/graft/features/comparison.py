"""Cached features against what the backbone gives now: which rows to take, how far apart, how far is too far.

Differences are relative to the largest absolute value of a row's feature: the error of a sum goes with
the size of its terms, so that a value near zero may be off by many times itself.
"""

from collections.abc import Sequence

import numpy as np

from graft.features.format import Row

SMALLEST_SCALE = 2.0**-14  # below, float16 is not relative any more
# The largest differences that rounding and another machine explain. For float32 2^-10: 2^-11 is the rounding
# to float16, the rest (5e-4) for another order of summation. For the others 2^-5: every layer rounds to 8
# bits, and another order of summation, or last bit of a range, ends on the other side of some roundings.
TOLERANCES = {"float32": 2.0**-10, "bfloat16": 2.0**-5, "int8": 2.0**-5}


def choose_rows(rows: Sequence[Row], n: int, seed: int) -> list[Row]:
    """Choose `n` rows, half of them augmented views as far as there are enough of both kinds; sorted."""
    plain, views = ([row for row in sorted(rows) if (row[1] > 0) == augmented] for augmented in (False, True))
    n_views = min(len(views), max(n // 2, n - len(plain)))
    n_plain = min(len(plain), n - n_views)
    rng = np.random.default_rng(seed)
    chosen = [(rng.permutation(len(plain))[:n_plain], plain), (rng.permutation(len(views))[:n_views], views)]
    return sorted(kind[i] for places, kind in chosen for i in places)


def measure_differences(cached: np.ndarray, fresh: np.ndarray) -> list[float]:
    """Measure the largest difference of each row (n, ...), relative to its largest value; infinite for a NaN.

    >>> measure_differences(np.array([[1, 4.0], [1, np.nan]]), np.array([[2, 4.0], [1, 1.0]]))
    [0.25, inf]
    """
    axes = tuple(range(1, fresh.ndim))
    scale = np.maximum(np.abs(fresh).max(axes), SMALLEST_SCALE)
    difference = np.abs(cached.astype(np.float32) - fresh).max(axes)
    values: list[float] = np.nan_to_num(difference / scale, nan=np.inf).tolist()
    return values
