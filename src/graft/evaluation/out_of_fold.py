"""Out-of-fold answers of several candidates on the same images -> accuracies, paired tests, Pareto fronts.

An image counts once, however often the folds were repeated: the intervals and tests are over images. A t-test
over the folds would take them for independent, which they are not, as they share images to fit: Dietterich
1998 (Neural Computation 10, 1895), Nadeau and Bengio 2003 (Machine Learning 52, 239).
"""

from collections.abc import Mapping
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from graft.evaluation.compare import adjust_holm, mcnemar


def compare_answers(right: Mapping[str, np.ndarray], confidence: float) -> dict[str, dict[str, Any]]:
    """Compare each candidate with the best.

    The test is McNemar's exact one on the images, each of which is right where most of the repeats are. The
    best is chosen by the same answers, so Holm's adjustment is over all pairs, not only those with the best.

    Args:
        right: candidate -> (n,) the share of the repeats, of an odd number, in which each image was answered
            right.
        confidence: of the intervals, in (0, 1).

    Returns:
        Candidate -> ``accuracy``, the mean over the repeats, with its `wilson` interval ``low`` to ``high``;
        ``test``, a pair as `graft.evaluation.compare.compare_pairs` gives it, None of the best. The best
        comes first.
    """
    accuracies = {name: round(float(shares.mean()), 9) for name, shares in right.items()}  # ties stay ties
    ranked = sorted(right, key=lambda name: -accuracies[name])
    most = {name: right[name] > 0.5 for name in ranked}
    pairs = [(one, other, mcnemar(most[one], most[other])) for one, other in combinations(ranked, 2)]
    adjusted = adjust_holm([test["p_value"] for *_, test in pairs])
    tests = {
        other: {"first": one, "second": other, **test, "p_value_holm": p}
        for (one, other, test), p in zip(pairs, adjusted, strict=True)
        if one == ranked[0]
    }
    compared = {}
    for name in ranked:
        low, high = wilson(accuracies[name], len(right[name]), confidence)
        compared[name] = {"accuracy": accuracies[name], "low": low, "high": high, "test": tests.get(name)}
    return compared


def wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Wilson's interval (1927) of a share of n images, also of one that is a mean over repeats.

    >>> low, high = wilson(0.8, 100, 0.95)
    >>> print(f"{low:.3f} {high:.3f}")
    0.711 0.867
    """
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    centre, half = share + z2 / (2 * n), sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n)
    return max(0.0, (centre - half) / (1 + z2 / n)), min(1.0, (centre + half) / (1 + z2 / n))


def find_front(gains: Mapping[str, float], costs: Mapping[str, float]) -> set[str]:
    """Find those of whom no other has both as much gain and as little cost, and more of the one or less of
    the other: the Pareto front.

    >>> sorted(find_front({"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 5.0, "b": 1.0, "c": 2.0}))
    ['a', 'b']
    """

    def beats(one: str, other: str) -> bool:
        no_worse = gains[one] >= gains[other] and costs[one] <= costs[other]
        return no_worse and (gains[one], costs[one]) != (gains[other], costs[other])

    return {name for name in costs if not any(beats(other, name) for other in costs)}
