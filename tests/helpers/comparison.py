"""A comparison of made-up predictions."""

import numpy as np
import pandas as pd

from graft.evaluation.compare import compare
from graft.evaluation.predictions import SCORE
from graft.evaluation.seeds import summarise_seeds
from graft.methods.registry import METHODS

# Of these the tests know the figures; of any other method that they are alike.
FOUR = ("two_stage", "two_stage_views", "inline", "scratch")
WITHOUT_EPOCHS = ("linear", "ensemble")
RIGHT = {"inline": 17, "scratch": 5}  # of 20; the others all
SECONDS = {"two_stage": (1.0, 12.0), "two_stage_views": (3.0, 12.5), "inline": (20.0, 1480.0)}


def make_timing(seconds, embedding=(10.0, 50.0), cached=0):
    """The durations of all stages: method -> preparation, training; and of embedding images and views."""
    extractions = zip(("extract_features", "extract_views"), embedding, strict=True)
    counts = {"from_store": cached, "from_head": 0, "embedded": 600 - cached}
    timing = {stage: counts | {"seconds_embedding": value, "seconds": value} for stage, value in extractions}
    for method in METHODS:
        preparation, training = seconds.get(method, (0.5, 33.0))
        timing[f"train_{method}"] = {"seconds_preparation": preparation, "seconds_training": training}
    return timing


TIMING = make_timing(SECONDS)


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
    has_backbone = METHODS[method].has_backbone
    return {
        "method": method,
        "seeds": [0],
        "backbone": "vgg19" if has_backbone else "none",
        "weights": "random" if has_backbone else "none",
        "pretrained": False,
        "n_seen_train": 10,
        "trainable_params": 3_310_081 if has_backbone else 281_203,
        "total_params": 23_342_657 if has_backbone else 281_203,
        "model_bytes": 99_100_000 if has_backbone else 1_200_000,
        "images_embedded": 1400 if has_backbone else 0,
        "epochs": None if method in WITHOUT_EPOCHS else 20,
        "best_epoch": None if method in WITHOUT_EPOCHS else 7,
    } | changes


def make_metrics(*accuracies):
    """Metrics as `evaluate` gives them, for the test accuracies of so many seeds."""
    split = {"accuracy": accuracies[0], "accuracy_low": accuracies[0] - 0.1, "log_loss": 0.5}
    split["accuracy_high"] = accuracies[0] + 0.1
    measured = {n: {"test": split | {"accuracy": a}, "validation": split} for n, a in enumerate(accuracies)}
    seeds = summarise_seeds(measured)
    return {"test": split, "validation": split, "n_seen": {"test": 20}, "confidence": 0.95, "seeds": seeds}


def make_comparison(by_seed=None, methods=tuple(METHODS), **facts):
    """Of some methods; `by_seed` gives the accuracies of some with other seeds than the first."""
    right = {m: [n < RIGHT.get(m, 20) for n in range(20)] for m in methods}
    by_seed = by_seed or {}
    return compare(
        {m: (make_frame(r), make_facts(m, **facts)) for m, r in right.items()},
        {m: make_metrics(sum(r) / 20, *by_seed.get(m, [])) for m, r in right.items()},
    )
