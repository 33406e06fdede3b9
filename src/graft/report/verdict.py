"""A comparison -> the method to take, in words, and what speaks for the next one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graft.report.costs import Timing, measure_cost, with_unit
from graft.report.words import Row, describe_means, describe_test, join_names, percent
from graft.utils.files import read_json

Comparison = Mapping[str, Any]


class Verdict(NamedTuple):
    """The method to take.

    Attributes:
        method: its name.
        file: its model, below the repository.
        accuracy: its test accuracy with the interval.
        reasons: sentences: why this one, and how sure that is.
        runner_up: sentences on the next one: the difference, and what it costs or saves; none without one.
    """

    method: str
    file: str
    accuracy: str
    reasons: tuple[str, ...]
    runner_up: tuple[str, ...]


def judge(comparison: Comparison, log_losses: Mapping[str, float], timing: Timing) -> Verdict:
    """Choose a method by its validation accuracy, so that the test accuracy is not that of the luckiest.

    Args:
        comparison: what `graft.evaluation.compare.compare` gave.
        log_losses: method -> log loss on the validation images, which decides between equal accuracies.
        timing: stage -> durations and counts.
    """
    best, *others = rank(comparison, log_losses)
    level = f"{100 * comparison['confidence']:g} % interval"
    ends = f"{percent(best['test_accuracy_low'])}-{percent(best['test_accuracy_high'])}"
    reasons = [_explain_choice(best, others), *_describe_spread(best)]
    reasons += _sort_by_test(comparison, best, timing)
    reasons += [f"{sentence}." for sentence in describe_means(comparison)]
    return Verdict(
        best["method"],
        f"models/{best['method']}/model.keras",
        f"{percent(best['test_accuracy'])} % of the {best['n_seen_test']:,} test images ({level} {ends})",
        tuple(reasons),
        tuple(_describe_runner_up(comparison, best, others[0], timing)) if others else (),
    )


def rank(comparison: Comparison, log_losses: Mapping[str, float]) -> list[Row]:
    """Sort the methods of a comparison, the one to take first; arguments as of `judge`."""
    order = {
        row["method"]: (-row["validation_accuracy"], log_losses[row["method"]])
        for row in comparison["methods"]
    }
    return sorted(comparison["methods"], key=lambda row: order[row["method"]])


def read_best(metrics: Path) -> str:
    """Name the method to take, by the files of a folder `metrics`.

    Raises:
        FileNotFoundError: if one is missing.
    """
    comparison = read_json(metrics / "comparison.json")
    methods = [row["method"] for row in comparison["methods"]]
    losses = {name: read_json(metrics / f"{name}.json")["validation"]["log_loss"] for name in methods}
    return str(rank(comparison, losses)[0]["method"])


def _explain_choice(best: Row, others: Sequence[Row]) -> str:
    accuracy = f"{percent(best['validation_accuracy'])} %"
    if not others:
        return f"It is the only method; its validation accuracy is {accuracy}."
    equal = [row["method"] for row in others if row["validation_accuracy"] == best["validation_accuracy"]]
    why = f"It has the highest validation accuracy, {accuracy}"
    if equal:
        have = "have" if len(equal) > 1 else "has"
        why += f", as {join_names(equal)} {have}, and of these the lowest log loss"
    return f"{why}; the test images had no part in this choice."


def _describe_spread(best: Row) -> list[str]:
    if best["n_seeds"] == 1:
        return []
    spread = f"{percent(best['test_accuracy_mean'])} ± {percent(best['test_accuracy_std'])} %"
    return [f"Over its {best['n_seeds']} seeds the test accuracy is {spread}; the file is of the first."]


def _sort_by_test(comparison: Comparison, best: Row, timing: Timing) -> list[str]:
    """Sentences on the methods that the paired tests tell from the best, and on those that they do not."""
    groups: dict[str, list[str]] = {"better": [], "equal": [], "worse": []}
    for pair in comparison["pairs"]:
        if best["method"] in (pair["first"], pair["second"]):
            own, others, other = _turn(pair, best["method"])
            significant = pair["p_value_holm"] < 1 - comparison["confidence"]
            groups["equal" if not significant else "worse" if own > others else "better"].append(other)
    said = {
        "better": "On the test images {} did better, by more than chance explains.",
        "equal": "The test images do not tell it from {}: any difference is within chance.",
        "worse": "It is better than {} by more than chance explains.",
    }
    sentences = {group: [said[group].format(join_names(names))] for group, names in groups.items() if names}
    if "equal" in sentences:
        sentences["equal"] += _name_fastest(best, groups["equal"], timing)
    return [sentence for group in sentences.values() for sentence in group]


def _turn(pair: Row, method: str) -> tuple[int, int, str]:
    """The images on which only this method of a pair is right, those of the other one, and its name."""
    if pair["first"] == method:
        return pair["n_first_only"], pair["n_second_only"], pair["second"]
    return pair["n_second_only"], pair["n_first_only"], pair["first"]


def _describe_runner_up(comparison: Comparison, best: Row, second: Row, timing: Timing) -> list[str]:
    names = {best["method"], second["method"]}
    (pair,) = (pair for pair in comparison["pairs"] if {pair["first"], pair["second"]} == names)
    accuracy = f"{second['method']}, {percent(second['test_accuracy'])} % on test"
    return [
        f"{accuracy}: {describe_test(pair, 1 - comparison['confidence'])}.",
        _compare_costs(best, second, timing),
    ]


def _compare_costs(best: Row, second: Row, timing: Timing) -> str:
    """A sentence on what the runner-up costs instead of the best: seconds, if timed, and megabytes."""
    sizes = [f"{row['model_bytes'] / 1e6:.1f} MB" for row in (second, best)]
    size = "is as large" if sizes[0] == sizes[1] else f"has {sizes[0]} instead of {sizes[1]}"
    model = f"its model {size}"
    costs = [measure_cost(row["method"], timing) for row in (second, best)]
    if any(cost.untimed for cost in costs):
        return f"{model[0].upper()}{model[1:]}."
    seconds = [f"{cost.at_least}{with_unit(cost.after(1))}" for cost in costs]
    return f"One training run, with all before it, takes {seconds[0]} instead of {seconds[1]}; {model}."


def _name_fastest(best: Row, equals: Sequence[str], timing: Timing) -> list[str]:
    """A sentence on the method that takes the least time of those that are as good, if all are timed."""
    costs = {method: measure_cost(method, timing) for method in (best["method"], *equals)}
    if len(costs) == 1 or any(cost.untimed or cost.at_least for cost in costs.values()):
        return []
    fastest = min(costs, key=lambda method: costs[method].after(1))
    if fastest == best["method"]:
        return [f"Of these, {fastest} itself takes the least time."]
    seconds = [with_unit(costs[method].after(1)) for method in (fastest, best["method"])]
    return [f"Of these, {fastest} takes the least time: {seconds[0]} for one training run, not {seconds[1]}."]
