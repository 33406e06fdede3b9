"""The row of a method in a comparison."""

from collections.abc import Mapping
from typing import Any

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
    """The row of a method: its accuracies and some of the facts of its training run."""
    test = metrics["test"]
    return {
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
