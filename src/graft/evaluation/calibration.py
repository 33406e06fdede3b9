"""Calibrated predictions -> how they were before their temperature."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from graft.evaluation.metrics import measure_split
from graft.evaluation.predictions import SCORE, score_matrix
from graft.training.temperature import temper

MEASURED = ("log_loss", "ece")


def describe_calibration(
    kept: pd.DataFrame, facts: Mapping[str, Any], confidence: float, bins: int
) -> dict[str, Any]:
    """Measure the predictions of the first seed with their temperature taken back.

    Args:
        kept: predictions frame of that seed.
        facts: of the training run.
        confidence, bins: as of `graft.evaluation.metrics.evaluate`.

    Returns:
        ``calibration``: ``temperature``, and ``test`` and ``validation`` with what is `MEASURED`, before;
        nothing where the facts have no ``temperatures``.
    """
    if "temperatures" not in facts:
        return {}
    temperature = facts["temperatures"][0]
    scores, classes = score_matrix(kept)
    before = kept.copy()
    before[[SCORE + label for label in classes]] = temper(scores, 1 / temperature)
    described: dict[str, Any] = {"temperature": temperature}
    for split in ("test", "validation"):
        one = measure_split(before[before["split"] == split], confidence, bins)
        described[split] = {name: one[name] for name in MEASURED}
    return {"calibration": described}
