"""Predictions with and without the views of test-time augmentation -> what these gain."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from graft.evaluation.compare import adjust_holm, compare_pairs
from graft.evaluation.metrics import measure_split
from graft.evaluation.predictions import first_seed

MEASURED = ("accuracy", "accuracy_low", "accuracy_high", "log_loss")
Predictions = Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]]


def compare_views(predictions: Predictions, with_views: Predictions, confidence: float) -> dict[str, Any]:
    """Compare each method's model with itself, with views and without.

    Args:
        predictions: method -> frame and facts, of the plain images.
        with_views: the same of some methods, whose scores are means over the plain image and its views.
        confidence: of the accuracies' intervals, in (0, 1).

    Returns:
        ``tta``, the number of views, and ``methods``, one row a method: ``method``; ``plain`` and ``views``,
        each with `MEASURED` of ``validation`` and ``test``; and McNemar's test on the test images, as of
        `graft.evaluation.compare.compare_pairs`, Holm-adjusted over the methods.

    Raises:
        ValueError: if the two are not of the same test images.
    """
    rows, tta = [], 0
    for method, (frame, facts) in with_views.items():
        tta = facts["tta"]
        frames = {f"{method} with {tta} views": frame, method: first_seed(*predictions[method])}
        views, plain = (_measure(each, confidence) for each in frames.values())
        (test,) = compare_pairs(frames)
        rows.append({"method": method, "plain": plain, "views": views, **test})
    adjusted = adjust_holm([row["p_value"] for row in rows])
    return {
        "tta": tta,
        "methods": [row | {"p_value_holm": p} for row, p in zip(rows, adjusted, strict=True)],
    }


def _measure(frame: pd.DataFrame, confidence: float) -> dict[str, dict[str, float]]:
    measured = {}
    for split in ("validation", "test"):
        one = measure_split(frame[frame["split"] == split], confidence, bins=1)
        measured[split] = {name: one[name] for name in MEASURED}
    return measured
