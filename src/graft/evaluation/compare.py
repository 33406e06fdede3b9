"""Predictions and metrics of several methods -> one row a method and two tests a pair.

McNemar's test asks whether the two models that are kept (of the first seeds) would differ on other
images; the seeds stay as they are. The interval of `graft.evaluation.seeds` asks whether the two methods
would differ with other seeds, on the same images.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from graft.evaluation.metrics import predict_labels
from graft.evaluation.predictions import first_seed
from graft.evaluation.rows import count_members, describe_method
from graft.evaluation.seeds import compare_seeds


def compare(
    predictions: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]],
    metrics: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Compare methods on the same test images.

    Args:
        predictions: method -> frame and facts, as `graft.evaluation.predictions.read_predictions` gives them.
        metrics: method -> what `graft.evaluation.metrics.evaluate` gave for it.

    Returns:
        ``test_accuracy`` and ``validation_accuracy`` of the first seeds (method -> value),
        ``test_accuracy_by_seed`` (method -> list), ``confidence``, ``methods`` (one row a method),
        ``members`` (see `count_members`) and ``pairs`` (see `compare_pairs` and
        `graft.evaluation.seeds.compare_seeds`). No duration is in it.

    Raises:
        ValueError: if two methods did not predict the same test images.
    """
    rows = [describe_method(method, predictions[method][1], metrics[method]) for method in predictions]
    confidence = next(iter(metrics.values()))["confidence"]
    by_seed = {
        method: [value["test_accuracy"] for value in metrics[method]["seeds"]["values"]]
        for method in predictions
    }
    tests = compare_pairs({method: first_seed(*predicted) for method, predicted in predictions.items()})
    noise = compare_seeds(by_seed, confidence)
    return {
        "test_accuracy": {row["method"]: row["test_accuracy"] for row in rows},
        "validation_accuracy": {row["method"]: row["validation_accuracy"] for row in rows},
        "test_accuracy_by_seed": by_seed,
        "confidence": confidence,
        "methods": rows,
        "members": count_members({method: facts for method, (_, facts) in predictions.items()}),
        "pairs": [test | of_seeds for test, of_seeds in zip(tests, noise, strict=True)],
    }


def compare_pairs(frames: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Test every pair of methods with McNemar's exact test, Holm-adjusted over the pairs.

    Args:
        frames: method -> predictions frame of one seed.

    Returns:
        For each pair ``first``, ``second``, ``n_first_only`` (test images that only the first
        got right), ``n_second_only``, ``p_value`` and ``p_value_holm``.

    Raises:
        ValueError: if two methods did not predict the same test images with the same labels.
    """
    rows = {name: frame[frame["split"] == "test"].sort_values("key") for name, frame in frames.items()}
    right = {name: test["y_true"].to_numpy() == predict_labels(test)[0] for name, test in rows.items()}
    tests = []
    for first, second in combinations(frames, 2):
        _check_same_images(first, rows[first], second, rows[second])
        tests.append({"first": first, "second": second, **mcnemar(right[first], right[second])})
    adjusted = adjust_holm([test["p_value"] for test in tests])
    return [test | {"p_value_holm": p} for test, p in zip(tests, adjusted, strict=True)]


def _check_same_images(first: str, rows: pd.DataFrame, second: str, others: pd.DataFrame) -> None:
    ours, theirs = (list(zip(test["key"], test["y_true"], strict=True)) for test in (rows, others))
    if ours == theirs:
        return
    differing = sorted(set(ours) ^ set(theirs))
    example = f", e.g. key={differing[0][0]}" if differing else ""
    raise ValueError(
        f"{first} and {second} must have predicted the same test images, received {len(ours)} and "
        f"{len(theirs)} with {len(differing)} keys or labels that only one has{example}; "
        "run `dvc repro` to train both on one manifest"
    )


def mcnemar(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """McNemar's test of two methods on the same images, exact (two-sided binomial).

    Only images on which exactly one of the two is right tell them apart; without any, p is 1.

    Args:
        first: (n,) bool, whether the first method was right.
        second: (n,) bool, the same images in the same order.

    Returns:
        ``n_first_only``, ``n_second_only`` and ``p_value``.

    Examples:
        >>> mcnemar(np.array([True, True, True]), np.array([True, False, False]))
        {'n_first_only': 2, 'n_second_only': 0, 'p_value': 0.5}
    """
    n_first, n_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = n_first + n_second
    p = float(binomtest(n_first, discordant).pvalue) if discordant else 1.0
    return {"n_first_only": n_first, "n_second_only": n_second, "p_value": p}


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for testing all of them, by Holm's step-down method (Holm 1979).

    Examples:
        >>> adjust_holm([0.25, 0.125])
        [0.25, 0.25]
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    factors = np.arange(len(p_values), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    return [float(p) for p in adjusted]
