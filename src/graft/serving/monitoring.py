"""A reference and the requests since -> tests of whether they still are of one kind, as numbers."""

from math import ceil, log, sqrt
from typing import Any

import numpy as np
from scipy.stats import binomtest

from graft.evaluation.compare import adjust_holm
from graft.serving.logged import Logged
from graft.serving.reference import Reference
from graft.serving.two_samples import (
    Tested,
    compare_components,
    compare_kernels,
    compare_shares,
    compare_values,
)
from graft.training.decision import decide

LIMIT = (
    5000  # images that are compared: of more, any difference would be significant, also one without effect
)
LEAST_IMAGES = 50
SMALLEST_ALPHA = 0.005  # the permutations of a smaller one would not fit into memory
DIRECTIONS = 16  # that tell two images apart


def measure_drift(reference: Reference, logged: Logged, alpha: float, seed: int) -> dict[str, Any]:
    """Test whether requests are distributed as the reference is.

    Args:
        reference: of the model.
        logged: requests of the same model.
        alpha: the probability of a false alarm, over all tests (Holm).
        seed: of permutations and samples.

    Returns:
        ``drift``; ``alpha``; ``n_logged`` requests, of which ``n_sampled`` were drawn and ``n_images`` are
        distinct and compared; ``first`` and ``last``, ISO 8601; ``tests``, a list of ``name``, ``statistic``,
        ``p_value``, ``p_value_holm``, ``changed``, ``details`` and, where known, ``noticeable`` (the least
        statistic that is significant whatever the other tests say); ``classes``, a list of label, ``n``,
        ``share`` with its Wilson interval ``low`` to ``high``, and ``reference`` share; ``confidence`` and
        ``reference_confidence``, the mean highest scores.

    Raises:
        ValueError: if the features are not those of the reference's backbone, or there are fewer than
            `LEAST_IMAGES` images.
    """
    features, scores = _distinct(reference, logged)
    if len(scores) < LEAST_IMAGES:
        raise ValueError(
            f"expected at least {LEAST_IMAGES} different images to compare, received {len(scores)}: log "
            "more, or take more of the log with an earlier --since"
        )
    tests = _test(reference, features, scores, ceil(50 / alpha), seed)
    adjusted = adjust_holm([test.p_value for test in tests.values()])
    rows = [
        _describe(name, test, p, alpha / len(tests), (_n_reference(name, reference), len(scores)))
        | {"changed": p < alpha}
        for (name, test), p in zip(tests.items(), adjusted, strict=True)
    ]
    return {
        "drift": any(row["changed"] for row in rows),
        "alpha": alpha,
        "n_logged": logged.n_found,
        "n_sampled": len(logged.scores),
        "n_images": len(scores),
        "first": f"{logged.times.min()}Z",
        "last": f"{logged.times.max()}Z",
        "tests": rows,
        "classes": _count_classes(reference, scores),
        "confidence": float(scores.max(axis=1).mean()),
        "reference_confidence": float(reference.scores.max(axis=1).mean()),
    }


def _test(
    reference: Reference, features: np.ndarray | None, scores: np.ndarray, permutations: int, seed: int
) -> dict[str, Tested]:
    tests = {}
    if reference.features is not None and features is not None:
        known = np.random.default_rng(seed).permutation(reference.features)[:LIMIT]
        tests["components"] = compare_components(known, features)
        tests["kernel"] = compare_kernels(known, features, permutations, seed)
    tests["classes"] = compare_shares(_count(reference.scores), _count(scores), permutations, seed)
    tests["confidence"] = compare_values(reference.scores.max(axis=1), scores.max(axis=1))
    return tests


def _count(scores: np.ndarray) -> np.ndarray:
    return np.bincount(decide(scores), minlength=scores.shape[1])


def _n_reference(name: str, reference: Reference) -> int:
    if name == "components" and reference.features is not None:
        return min(LIMIT, len(reference.features))
    return len(reference.scores)


def _describe(
    name: str, test: Tested, adjusted: float, level: float, sizes: tuple[int, int]
) -> dict[str, Any]:
    noticeable = {}
    if name in ("components", "confidence"):
        level /= test.details.get("components", 1)
        noticeable = {"noticeable": find_noticeable(level, *sizes)}
    return {
        "name": name,
        "statistic": test.statistic,
        "p_value": test.p_value,
        "p_value_holm": adjusted,
        **noticeable,
        "details": dict(test.details),
    }


def find_noticeable(level: float, n: int, m: int) -> float:
    """The distance of two samples' distribution functions that is significant, at most 1.

    By Kolmogorov's limit (Smirnov 1948), for samples of n and m and a level in (0, 1).

    >>> round(find_noticeable(0.05, 100, 100), 3)
    0.192
    """
    return min(1.0, sqrt(log(2 / level) / 2 * (1 / n + 1 / m)))


def _count_classes(reference: Reference, scores: np.ndarray) -> list[dict[str, Any]]:
    known, found = _count(reference.scores), _count(scores)
    rows = []
    for label, before, n in zip(reference.card["classes"], known, found, strict=True):
        interval = binomtest(int(n), len(scores)).proportion_ci(reference.card["confidence"], method="wilson")
        share = {"share": n / len(scores), "low": float(interval.low), "high": float(interval.high)}
        rows.append({"label": label, "n": int(n), **share, "reference": float(before / known.sum())})
    return rows


def _distinct(reference: Reference, logged: Logged) -> tuple[np.ndarray | None, np.ndarray]:
    """Features and scores that are finite, of an image that was sent several times once."""
    scores, features = logged.scores, logged.features
    kept = np.isfinite(scores).all(axis=1)
    if features is None or reference.features is None:
        return None, scores[kept]
    if features.shape[1] != reference.features.shape[1]:
        raise ValueError(
            f"the log has features of {features.shape[1]} numbers, expected {reference.features.shape[1]} as "
            "in data/features: it is of another backbone"
        )
    kept &= np.isfinite(features).all(axis=1)
    chosen = np.flatnonzero(kept)[find_distinct(features[kept], reference.features)]
    return features[chosen], scores[chosen]


def find_distinct(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Find the rows that differ from all before them by more than the rounding of another batch's size.

    Two images are the same where they are within a hundredth of the spread of the reference along each of
    some random directions.

    Args:
        features: (n, d), finite.
        reference: (m, d).

    Returns:
        Their numbers, ascending.
    """
    directions = np.random.default_rng(0).normal(size=(features.shape[1], DIRECTIONS))
    spread = (reference @ directions).std(axis=0)
    places = np.round(features @ directions / np.where(spread > 0, spread / 100, 1))
    return np.sort(np.unique(places, axis=0, return_index=True)[1])
