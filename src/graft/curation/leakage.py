"""Test images that resemble images of train or validation -> the test accuracy without them."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from scipy.stats import binomtest

from graft.evaluation.metrics import predict_labels
from graft.evaluation.predictions import first_seed


def measure_leakage(
    predictions: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]],
    leaked: Collection[str],
    confidence: float,
) -> list[dict[str, Any]]:
    """Measure the test accuracy of each method with and without the images that leaked.

    The models stay as they are: they were trained with the images that these resemble.

    Args:
        predictions: method -> frame and facts, as `graft.evaluation.predictions.read_predictions` gives them.
        leaked: keys of test images; not all.
        confidence: of the Wilson intervals.

    Returns:
        A row a method: ``method``, and ``all`` and ``without``, each with ``accuracy``, ``low``, ``high`` and
        ``n``.
    """
    rows = []
    for method, predicted in predictions.items():
        frame = first_seed(*predicted)
        test = frame[frame["split"] == "test"]
        right = pd.Series(predict_labels(test)[0] == test["y_true"].to_numpy(), index=test["key"])
        kept = right[~right.index.isin(leaked)]
        rows.append(
            {"method": method, "all": _measure(right, confidence), "without": _measure(kept, confidence)}
        )
    return rows


def _measure(right: pd.Series, confidence: float) -> dict[str, float]:
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(confidence, method="wilson")
    return {"accuracy": float(right.mean()), "low": interval.low, "high": interval.high, "n": len(right)}
