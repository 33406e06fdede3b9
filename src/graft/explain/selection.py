"""Which test images are worth a look: confident mistakes, hesitant hits, and a clear hit of each class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from graft.evaluation.metrics import decide
from graft.evaluation.predictions import first_seed, score_matrix

MISTAKE, HESITANT, CLEAR = "mistake", "hesitant", "clear"


def choose_examples(
    predictions: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]], n_mistakes: int, n_hesitant: int
) -> list[dict[str, Any]]:
    """Choose test images by what the kept model of each method said of them.

    Of each method its most confident mistakes; the most confident hit of each class, as far as the
    class has one; and, of its other hits, the least confident. Equal confidences go by key.

    Args:
        predictions: method -> frame and facts, as `graft.evaluation.predictions.read_predictions` gives them.
        n_mistakes: of a method; where it made fewer, all of them.
        n_hesitant: of a method; where it has fewer, all of them.

    Returns:
        One ``{"key", "label", "reasons"}`` an image, sorted by key; ``reasons`` says for each method that
        chose it why: ``mistake``, ``hesitant`` or ``clear``.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for method, predicted in predictions.items():
        rows = _choose(first_seed(*predicted), n_mistakes, n_hesitant)
        for key, label, reason in zip(rows["key"], rows["y_true"], rows["reason"], strict=True):
            chosen.setdefault(key, {"key": key, "label": label, "reasons": {}})["reasons"][method] = reason
    return [chosen[key] for key in sorted(chosen)]


def _choose(predictions: pd.DataFrame, n_mistakes: int, n_hesitant: int) -> pd.DataFrame:
    """The rows ``key, y_true, reason`` of one method's choice."""
    rows = read_answers(predictions).sort_values(["confidence", "key"], ascending=[False, True])
    hits = rows[rows["y_true"] == rows["answer"]]
    clear = hits.drop_duplicates("y_true")
    others = hits[~hits["key"].isin(clear["key"])].sort_values(["confidence", "key"])
    mistakes = rows[rows["y_true"] != rows["answer"]].head(n_mistakes)
    reasons = {MISTAKE: mistakes, HESITANT: others.head(n_hesitant), CLEAR: clear}
    return pd.concat([part.assign(reason=reason) for reason, part in reasons.items()])


def read_answers(predictions: pd.DataFrame) -> pd.DataFrame:
    """What was answered to the test images.

    Returns:
        Frame ``key, seed, y_true, answer, confidence``: ``answer`` is the label that was decided for,
        ``confidence`` its score.
    """
    test = predictions[predictions["split"] == "test"]
    scores, classes = score_matrix(test)
    decided = decide(scores)
    answers = {
        "answer": np.array(classes, dtype=object)[decided],
        "confidence": scores[np.arange(len(scores)), decided],
    }
    return test[["key", "seed", "y_true"]].assign(**answers)
