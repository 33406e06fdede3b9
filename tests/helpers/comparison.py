"""A comparison of made-up predictions."""

import numpy as np
import pandas as pd

from graft.evaluation.compare import METHODS, compare
from graft.evaluation.predictions import SCORE
from graft.evaluation.seeds import summarise_seeds

TIMING = {
    "extract_features": {"from_store": 0, "from_head": 0, "seconds_plain": 10.0, "seconds_views": 50.0},
    "train_two_stage": {"seconds_preparation": 1.0, "seconds_training": 12.0},
    "train_two_stage_views": {"seconds_preparation": 3.0, "seconds_training": 12.5},
    "train_inline": {"seconds_preparation": 20.0, "seconds_training": 1480.0},
    "train_scratch": {"seconds_preparation": 0.5, "seconds_training": 33.0},
}


def make_frame(right, n_validation=4):
    """Predictions of two classes that are right where told; every second test image is a dog."""
    n = len(right) + n_validation
    truth = np.arange(n) % 2
    decided = np.where([*[True] * n_validation, *right], truth, 1 - truth)
    return pd.DataFrame(
        {
            "key": [f"{i:064x}" for i in range(n)],
            "split": ["validation"] * n_validation + ["test"] * len(right),
            "y_true": np.array(["cat", "dog"])[truth],
            "seed": 0,
            SCORE + "cat": np.where(decided == 0, 0.8, 0.2),
            SCORE + "dog": np.where(decided == 1, 0.8, 0.2),
        }
    )


def make_facts(method, **changes):
    scratch = method == "scratch"
    return {
        "method": method,
        "seeds": [0],
        "backbone": "none" if scratch else "vgg19",
        "weights": "none" if scratch else "random",
        "pretrained": False,
        "n_seen_train": 10,
        "trainable_params": 281_203 if scratch else 3_310_081,
        "total_params": 281_203 if scratch else 23_342_657,
        "model_bytes": 1_200_000 if scratch else 99_100_000,
        "images_embedded": 0 if scratch else 1400,
        "epochs": 20,
        "best_epoch": 7,
    } | changes


def make_metrics(*accuracies):
    """What `evaluate` gives for the test accuracies of so many seeds."""
    split = {"accuracy": accuracies[0], "accuracy_low": accuracies[0] - 0.1, "log_loss": 0.5}
    split["accuracy_high"] = accuracies[0] + 0.1
    measured = {n: {"test": split | {"accuracy": a}, "validation": split} for n, a in enumerate(accuracies)}
    seeds = summarise_seeds(measured)
    return {"test": split, "validation": split, "n_seen": {"test": 20}, "confidence": 0.95, "seeds": seeds}


def make_comparison(by_seed=None, **facts):
    """Of all methods; `by_seed` gives the accuracies of some with other seeds than the first."""
    rights = [[True] * 20, [True] * 20, [True] * 17 + [False] * 3, [False] * 15 + [True] * 5]
    by_seed = by_seed or {}
    return compare(
        {m: (make_frame(r), make_facts(m, **facts)) for m, r in zip(METHODS, rights, strict=True)},
        {m: make_metrics(sum(r) / 20, *by_seed.get(m, [])) for m, r in zip(METHODS, rights, strict=True)},
    )
