"""Several seeds of a method: their mean and standard deviation, and what differs by more than their noise."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean, stdev
from typing import Any

from scipy.stats import ttest_ind


def summarise_seeds(measured: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Summarise one method over its seeds.

    Args:
        measured: seed -> split -> what `graft.evaluation.metrics.measure_split` gave.

    Returns:
        ``n``; ``test_accuracy_mean`` and ``test_accuracy_std``, the sample standard deviation (n - 1),
        None of one seed; the same of ``validation_accuracy``; and ``values``, a list of each ``seed``
        with its ``test_accuracy``, ``validation_accuracy`` and ``test_log_loss``.
    """
    values = [
        {
            "seed": seed,
            "test_accuracy": splits["test"]["accuracy"],
            "validation_accuracy": splits["validation"]["accuracy"],
            "test_log_loss": splits["test"]["log_loss"],
        }
        for seed, splits in measured.items()
    ]
    summary: dict[str, Any] = {"n": len(values)}
    for name in ("test_accuracy", "validation_accuracy"):
        numbers = [value[name] for value in values]
        summary[f"{name}_mean"] = mean(numbers)
        # Of `statistics`, which is exact: equal numbers have the deviation 0, in NumPy only almost.
        summary[f"{name}_std"] = stdev(numbers) if len(numbers) > 1 else None
    return {**summary, "values": values}


def pick_headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Pick the few numbers of a method that DVC's tables show.

    Args:
        metrics: what `graft.evaluation.metrics.evaluate` gave.

    Returns:
        ``test_acc`` and ``val_acc`` of the model that is kept, and of several seeds the means
        ``test_mean`` and ``val_mean``; in [0, 1], to 6 decimals: DVC calls what differs in the last
        bit a change.
    """
    splits, seeds = {"test": "test", "val": "validation"}, metrics["seeds"]
    short = {f"{name}_acc": metrics[split]["accuracy"] for name, split in splits.items()}
    if seeds["n"] > 1:
        short |= {f"{name}_mean": seeds[f"{split}_accuracy_mean"] for name, split in splits.items()}
    return {name: round(number, 6) for name, number in short.items()}


def compare_seeds(accuracies: Mapping[str, Sequence[float]], confidence: float) -> list[dict[str, Any]]:
    """Compare the mean accuracies of every pair of methods with the noise of their seeds.

    They differ by more where Welch's interval of the difference leaves out 0. The intervals hold together at
    `confidence` (Bonferroni): each is the wider, the more pairs have one.

    Args:
        accuracies: method -> accuracy with each seed, in [0, 1].
        confidence: in (0, 1).

    Returns:
        For each pair, in the order of `itertools.combinations`, ``difference`` (of the means, first
        minus second), ``difference_low``, ``difference_high`` and ``exceeds_noise``; the last three are
        None where a method has one seed, whose noise is not known.
    """
    pairs = list(combinations(accuracies.values(), 2))
    n_known = sum(min(map(len, pair)) > 1 for pair in pairs)
    return [_compare(first, second, 1 - (1 - confidence) / max(n_known, 1)) for first, second in pairs]


def _compare(first: Sequence[float], second: Sequence[float], confidence: float) -> dict[str, Any]:
    low = high = exceeds = None
    if min(len(first), len(second)) > 1:
        low, high = welch_interval(first, second, confidence)
        exceeds = low > 0 or high < 0
    interval = {"difference_low": low, "difference_high": high}
    return {"difference": mean(first) - mean(second), **interval, "exceeds_noise": exceeds}


def welch_interval(first: Sequence[float], second: Sequence[float], confidence: float) -> tuple[float, float]:
    """The interval of the difference of two means whose variances may differ (Welch 1947).

    Where nothing varies it is the difference itself. `first` and `second` are at least two numbers each,
    `confidence` is in (0, 1).

    Examples:
        >>> low, high = welch_interval([0.79, 0.80, 0.81], [0.88, 0.91, 0.91], 0.95)
        >>> print(f"{low:.3f} {high:.3f}")
        -0.135 -0.065
    """
    if len(set(first)) == len(set(second)) == 1:
        difference = mean(first) - mean(second)
        return difference, difference
    with warnings.catch_warnings():
        # SciPy warns of numbers that are nearly equal, as those of one of the two may be.
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    return float(low), float(high)
