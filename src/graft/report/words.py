"""Numbers -> sentences on paired tests, seeds and mistakes: the same on the page and in the terminal."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from graft.evaluation.imbalance import IMBALANCED
from graft.evaluation.rows import RECALL

Row = Mapping[str, Any]
LISTED = 10  # names in a sentence
BALANCE = (
    f"Some class has more than {IMBALANCED} times as many images as another. Balanced accuracy is the mean "
    "recall of all classes; recall is the share of a class's test images that is found, rarest class first."
)
TESTS = "McNemar's exact test over the test images on which exactly one of two methods is right."


def percent(value: float) -> str:
    """A share as a number of percent with one decimal, without the sign.

    Examples:
        >>> percent(0.9404)
        '94.0'
    """
    return f"{100 * value:.1f}"


def warn_untrained(rows: Sequence[Row]) -> list[str]:
    """A sentence for each backbone of a comparison's ``methods`` that was not pre-trained."""
    untrained = {row["backbone"]: row["weights"] for row in rows if not row["pretrained"]}
    return [
        f"The backbone {name} was NOT pre-trained (weights: {weights}): this shows that the machinery works, "
        "not what transfer is worth."
        for name, weights in untrained.items()
        if name != "none"
    ]


def warn_no_better(rows: Sequence[Row], counts: pd.Series) -> list[str]:
    """A sentence on the methods that need no image to be as good: the same answer for all would do.

    Args:
        rows: a comparison's ``methods``.
        counts: the test images of each class, by label.
    """
    share = counts.max() / counts.sum()
    poor = [row["method"] for row in rows if row["test_accuracy_low"] <= share]
    return [
        f"The test images do not show that {', '.join(poor)} learned anything: the answer {counts.idxmax()} "
        f"for all of them is right on {percent(share)} %. A learning_rate that is too high may be the cause."
    ] * bool(poor)


def describe_tests(comparison: Mapping[str, Any]) -> list[str]:
    """A sentence on each pair of a comparison's methods."""
    return [describe_test(pair, 1 - comparison["confidence"]) for pair in comparison["pairs"]]


def describe_test(pair: Row, significance: float) -> str:
    """A paired test as a sentence, judged by its Holm-adjusted p-value.

    For example `inline is better than two_stage on 14 images and worse on 9: no significant
    difference, p = 0.40 (0.81 after Holm's adjustment)`. The method that is right more often comes first.

    Args:
        pair: a row of `graft.evaluation.compare.compare_pairs`.
        significance: the smallest p-value that does not count, in (0, 1).
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
    verdict = "a" if pair["p_value_holm"] < significance else "no"
    p, holm = (_p_value(pair[name]) for name in ("p_value", "p_value_holm"))
    adjusted = "" if p == holm else f" ({holm.removeprefix('= ')} after Holm's adjustment)"
    return f"{said}: {verdict} significant difference, p {p}{adjusted}"


def describe_means(comparison: Mapping[str, Any]) -> list[str]:
    """A sentence on each method that is the mean of others: whether it is better than the best of these.

    The best is the one with the highest validation accuracy, the first of equals; it is better or worse where
    the test images tell the two apart.
    """
    rows = {row["method"]: row["validation_accuracy"] for row in comparison["methods"]}
    pairs = {frozenset((pair["first"], pair["second"])): pair for pair in comparison["pairs"]}
    found = []
    for method, members in comparison["members"].items():
        best = max((member for member in members if member in rows), key=lambda m: rows[m], default=None)
        if pair := pairs.get(frozenset((method, best))):
            sides = {pair["first"]: pair["n_first_only"], pair["second"]: pair["n_second_only"]}
            clear = pair["p_value_holm"] < 1 - comparison["confidence"]
            verdict = "better" if sides[method] > sides[best] else "worse"
            n = sum(members.values())
            heads = f"{n} {'head' if n == 1 else 'heads'} (of {join_names([*members])})"
            is_better = f"is {verdict}" if clear else "is not clearly better"
            found.append(
                f"{method}, the mean of {heads}, {is_better} than {best}, the best of these on validation"
            )
    return found


def join_names(names: Sequence[str]) -> str:
    """Join names to a list in words.

    >>> join_names(["a"]), join_names(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"= {min(p, 1):#.2g}"


def describe_left_out(data: Mapping[str, Any], classes: Collection[str]) -> list[str]:
    """A sentence on each kind of what is in the source and not in the results, or not as it seems.

    Args:
        data: `metrics/data.json`.
        classes: those of the manifest.

    >>> rest = {"similar_classes": [], "ignored_folders": {}, "sixteen_bit_images": {}, "empty_classes": {}}
    >>> describe_left_out({**rest, "classes": {"cat": 9, "dog": 2}, "ignored_files": {".tif": 3}}, ["cat"])
    ["Classes that the split leaves out: 'dog' (2).", 'Ignored files: .tif (3).']
    """
    left_out = {label: n for label, n in data["classes"].items() if label not in classes}
    named = {repr(label): n for label, n in left_out.items()}
    empty = {repr(label): why for label, why in data["empty_classes"].items()}
    alike = {", ".join(map(ascii, labels)): "look alike" for labels in data["similar_classes"]}
    bits = {f"{n_bits} bits": n for n_bits, n in data["sixteen_bit_images"].items()}
    kinds = {
        "Classes that the split leaves out": named,
        "Classes without an image": empty,
        "Classes that may be one": alike,
        "Ignored files": data["ignored_files"],
        "Ignored folders": data["ignored_folders"],
        "Images of 16 bits, by the bits that their values take": bits,
        "Images that a person decided on in edits.csv": {k: n for k, n in data.get("edits", {}).items() if n},
    }
    return [f"{kind}: {_list_counts(counts)}." for kind, counts in kinds.items() if counts]


def _list_counts(counts: Mapping[str, Any]) -> str:
    more = f" and {len(counts) - LISTED} more" if len(counts) > LISTED else ""
    return ", ".join(f"{name} ({n})" for name, n in [*counts.items()][:LISTED]) + more


def explain_seeds(confidence: float) -> str:
    """The introduction to `describe_seeds`."""
    return (
        "Test accuracy, mean ± sd. The difference of two methods is that of their means in percentage "
        f"points, with its {100 * confidence:g} % interval (Welch, Bonferroni); one seed has none."
    )


def describe_seeds(comparison: Mapping[str, Any]) -> list[str]:
    """The test accuracies of each method's seeds, then the differences of pairs whose noise is known.

    For example `two_stage: 81.7 ± 1.2 % (3 seeds: 81.0, 81.0, 83.0)` and `two_stage vs inline: +2.0
    (-3.1 to +7.1): within the seeds' noise`.
    """
    rows, by_seed = comparison["methods"], comparison["test_accuracy_by_seed"]
    known = [pair for pair in comparison["pairs"] if pair["exceeds_noise"] is not None]
    return [_describe_accuracies(row, by_seed[row["method"]]) for row in rows] + [
        *map(_describe_noise, known)
    ]


def _describe_accuracies(row: Row, accuracies: Sequence[float]) -> str:
    if row["n_seeds"] == 1:
        return f"{row['method']}: {percent(accuracies[0])} % (1 seed)"
    spread = f"{percent(row['test_accuracy_mean'])} ± {percent(row['test_accuracy_std'])} %"
    return f"{row['method']}: {spread} ({row['n_seeds']} seeds: {', '.join(map(percent, accuracies))})"


def _describe_noise(pair: Row) -> str:
    points = [f"{100 * pair[name]:+.1f}" for name in ("difference", "difference_low", "difference_high")]
    verdict = "exceeds the seeds' noise" if pair["exceeds_noise"] else "within the seeds' noise"
    return f"{pair['first']} vs {pair['second']}: {points[0]} ({points[1]} to {points[2]}): {verdict}"


def describe_balance(rows: Sequence[Row]) -> list[str]:
    """A sentence on each row of a comparison's ``methods`` that has a balanced accuracy.

    >>> describe_balance([{"method": "linear", "test_balanced_accuracy": 0.6, "recall.cat": 0.2}])
    ['linear: balanced accuracy 60.0 %; recall cat 20.0.']
    """
    return [
        f"{row['method']}: balanced accuracy {percent(row['test_balanced_accuracy'])} %{_list_recalls(row)}."
        for row in rows
        if "test_balanced_accuracy" in row
    ]


def _list_recalls(row: Row) -> str:
    found = {name.removeprefix(RECALL): value for name, value in row.items() if name.startswith(RECALL)}
    shown = [f"{label} {percent(value)}" for label, value in [*found.items()][:LISTED]]
    more = f" and {len(found) - LISTED} classes more" if len(found) > LISTED else ""
    return f"; recall {', '.join(shown)}{more}" if shown else ""


class Confusion(NamedTuple):
    """`n` of the `support` test images of a class, `truth`, for which a method predicted one other class."""

    method: str
    truth: str
    predicted: str
    n: int
    support: int

    def __str__(self) -> str:
        of = f"{self.n:,} of {self.support:,} {self.truth} images"
        images = f"the only {self.truth} image" if self.support == 1 else of
        return f"{self.method} predicted {self.predicted} for {images}"


def most_confused(confused: Mapping[str, pd.DataFrame], limit: int = 5) -> list[Confusion]:
    """The pairs of classes that were confused most often, over all methods.

    Args:
        confused: method -> what `graft.evaluation.confusion.count_confusions` gave for its test images.
        limit: how many at most.

    Returns:
        Sorted by count, then by share of the class, each descending; ties in the order of the methods,
        then of the classes.
    """
    found = [
        Confusion(method, *row)
        for method, pairs in confused.items()
        for row in pairs[:limit].itertuples(index=False)
    ]
    return sorted(found, key=lambda pair: (-pair.n, pair.support))[:limit]


def count(n: int, what: str) -> str:
    """Say how many there are of something.

    >>> count(1, "image"), count(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"
