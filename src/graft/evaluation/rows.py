"""The row of a method in a comparison."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

RECALL = "recall."
FACTS = (
    "trainable_params",
    "total_params",
    "model_bytes",
    "images_embedded",
    "epochs",
    "best_epoch",
    "backbone",
    "weights",
    "pretrained",
)


def describe_method(method: str, facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a method: its accuracies and some of the facts of its training run.

    Where classes are imbalanced, also its ``test_balanced_accuracy`` and, the rarest first, the
    ``recall.<label>`` of each class; of more classes than stand in `metrics`, none.
    """
    test = metrics["test"]
    row = {
        "method": method,
        "validation_accuracy": metrics["validation"]["accuracy"],
        "test_accuracy": test["accuracy"],
        "test_accuracy_low": test["accuracy_low"],
        "test_accuracy_high": test["accuracy_high"],
        "n_seeds": metrics["seeds"]["n"],
        "test_accuracy_mean": metrics["seeds"]["test_accuracy_mean"],
        "test_accuracy_std": metrics["seeds"]["test_accuracy_std"],
        "n_seen_test": metrics["n_seen"]["test"],
    } | {name: facts[name] for name in FACTS}
    if "balanced_accuracy" in test:
        row["test_balanced_accuracy"] = test["balanced_accuracy"]
        if len(test["per_class"]) == len(metrics["classes"]):
            rarest = sorted(test["per_class"], key=lambda one: one["support"])
            row |= {RECALL + one["label"]: one["recall"] for one in rarest}
    return row


def count_members(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Methods that are the mean of others -> how many heads of each there are in it.

    >>> count_members({"a": {}, "b": {"members": [{"method": "a", "seed": 0}, {"method": "a", "seed": 1}]}})
    {'b': {'a': 2}}
    """
    means = {method: each["members"] for method, each in facts.items() if "members" in each}
    return {method: dict(Counter(each["method"] for each in members)) for method, members in means.items()}
