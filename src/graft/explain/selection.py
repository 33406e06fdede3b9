"""Predictions -> test images worth a look: confident mistakes, hesitant hits, a clear hit of each class."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from graft.evaluation.metrics import predict_labels
from graft.evaluation.predictions import first_seed

MISTAKE, HESITANT, CLEAR = "mistake", "hesitant", "clear"
CLEAR_HITS = 20  # classes of which a method's clear hit is explained, the first in class order


def choose_examples(
    predictions: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]], n_mistakes: int, n_hesitant: int
) -> list[dict[str, Any]]:
    """Choose test images by what the kept model of each method predicted.

    Of each method its most confident mistakes; the most confident hit of each class, as far as the
    class has one, of the first `CLEAR_HITS` classes; and, of its other hits, the least confident. Equal
    confidences go by key.

    Args:
        predictions: method -> frame and facts, as `graft.evaluation.predictions.read_predictions` gives them.
        n_mistakes: of each method, as far as it made so many.
        n_hesitant: of each method, as far as it has so many.

    Returns:
        One ``{"key", "label", "reasons"}`` an image, sorted by key; ``reasons`` says why, for each
        method that chose it: ``mistake``, ``hesitant`` or ``clear``.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for method, predicted in predictions.items():
        rows = _choose(first_seed(*predicted), n_mistakes, n_hesitant)
        for key, label, reason in zip(rows["key"], rows["y_true"], rows["reason"], strict=True):
            chosen.setdefault(key, {"key": key, "label": label, "reasons": {}})["reasons"][method] = reason
    return [chosen[key] for key in sorted(chosen)]


def _choose(predictions: pd.DataFrame, n_mistakes: int, n_hesitant: int) -> pd.DataFrame:
    """The rows ``key, y_true, reason`` of one method's choice."""
    rows = predict_test(predictions).sort_values(["confidence", "key"], ascending=[False, True])
    hits = rows[rows["y_true"] == rows["predicted"]]
    clear = hits.drop_duplicates("y_true").sort_values("y_true")[:CLEAR_HITS]
    others = hits[~hits["key"].isin(clear["key"])].sort_values(["confidence", "key"])
    mistakes = rows[rows["y_true"] != rows["predicted"]].head(n_mistakes)
    reasons = {MISTAKE: mistakes, HESITANT: others.head(n_hesitant), CLEAR: clear}
    return pd.concat([part.assign(reason=reason) for reason, part in reasons.items()])


def predict_test(predictions: pd.DataFrame) -> pd.DataFrame:
    """Reduce the scores of the test images to predictions.

    Returns:
        Frame ``key, seed, y_true, predicted, confidence``: the label that was predicted and its score.
    """
    test = predictions[predictions["split"] == "test"]
    labels, confidences = predict_labels(test)
    return test[["key", "seed", "y_true"]].assign(predicted=labels, confidence=confidences)
