"""What the numbers say, in words: paired tests, seeds, mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]


def percent(value: float) -> str:
    """A share as a number of percent with one decimal, without the sign."""
    return f"{100 * value:.1f}"


def better_method(pair: Row, significance: float) -> str | None:
    """The method that a paired test finds better, by its Holm-adjusted p-value; None: neither.

    Args:
        pair: a row of `graft.evaluation.compare.compare_pairs`.
        significance: the largest p-value that does not count, in (0, 1).
    """
    if pair["p_value_holm"] >= significance:
        return None
    return str(pair["first"] if pair["n_first_only"] > pair["n_second_only"] else pair["second"])


def describe_test(pair: Row, significance: float) -> str:
    """A paired test as a sentence, judged by its Holm-adjusted p-value.

    For example `inline is better than two_stage on 14 images and worse on 9: no significant
    difference, p = 0.40 (0.81 after Holm's adjustment)`. What is right more often comes first.
    """
    sides = [(pair["n_first_only"], pair["first"]), (pair["n_second_only"], pair["second"])]
    (more, one), (less, other) = sides if sides[0][0] >= sides[1][0] else reversed(sides)
    images = "image" if more == 1 else "images"
    if not more:
        said = f"{one} and {other} are right on the same images"
    elif more == less:
        said = f"{one} and {other} are each better on {more:,} {images}"
    else:
        said = f"{one} is better than {other} on {more:,} {images} and worse on {less:,}"
    verdict = "no" if better_method(pair, significance) is None else "a"
    p, holm = (_p_value(pair[name]) for name in ("p_value", "p_value_holm"))
    adjusted = "" if p == holm else f" ({holm.removeprefix('= ')} after Holm's adjustment)"
    return f"{said}: {verdict} significant difference, p {p}{adjusted}"


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {min(p, 1):#.2g}"


def describe_seeds(row: Row, accuracies: Sequence[float]) -> str:
    """A method's test accuracies in words: `two_stage: 81.7 ± 1.2 % (3 seeds: 81.0, 81.0, 83.0)`."""
    if row["n_seeds"] == 1:
        return f"{row['method']}: {percent(accuracies[0])} % (1 seed)"
    spread = f"{percent(row['test_accuracy_mean'])} ± {percent(row['test_accuracy_std'])} %"
    return f"{row['method']}: {spread} ({row['n_seeds']} seeds: {', '.join(map(percent, accuracies))})"


def describe_noise(pair: Row) -> str:
    """Whether two methods differ by more than the noise of their seeds, in words."""
    points = [f"{100 * pair[name]:+.1f}" for name in ("difference", "difference_low", "difference_high")]
    verdict = "exceeds the seeds' noise" if pair["exceeds_noise"] else "within the seeds' noise"
    return f"{pair['first']} vs {pair['second']}: {points[0]} ({points[1]} to {points[2]}): {verdict}"


class Confusion(NamedTuple):
    """`n` of the `support` test images of a class, `truth`, to which a method gave one other class."""

    method: str
    truth: str
    answer: str
    n: int
    support: int

    def __str__(self) -> str:
        if self.support == 1:
            return f"the only {self.truth} image was called {self.answer} by {self.method}"
        verb = "was" if self.n == 1 else "were"
        images = f"{self.n:,} of {self.support:,} {self.truth} images"
        return f"{images} {verb} called {self.answer} by {self.method}"


def most_confused(metrics: Mapping[str, Row], limit: int = 5) -> list[Confusion]:
    """The pairs of classes that were confused most often, over all methods.

    Args:
        metrics: method -> what `graft.evaluation.metrics.evaluate` gave; its confusion matrix of test counts.
        limit: how many at most.

    Returns:
        Sorted by count, then by share of the class, each descending; ties in the order of the methods,
        then of the classes.
    """
    found = [
        Confusion(method, truth, answer, n, sum(row))
        for method, measured in metrics.items()
        for truth, row in zip(measured["classes"], measured["test"]["confusion_matrix"], strict=True)
        for answer, n in zip(measured["classes"], row, strict=True)
        if n and answer != truth
    ]
    return sorted(found, key=lambda pair: (-pair.n, pair.support))[:limit]


def describe_mistakes(metrics: Mapping[str, Row], limit: int = 5) -> list[str]:
    """The most confused pairs of classes in words, as `7 of 20 tulip images were called rose by two_stage`.

    See `most_confused`; where there are none: `no image was mistaken`.
    """
    return [str(pair) for pair in most_confused(metrics, limit)] or ["no image was mistaken"]
