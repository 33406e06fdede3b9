"""What every method hands over, and how it is written."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.methods.training import best_epoch
from graft.models import count_parameters, save_model
from graft.predictions import write_predictions


@dataclass(frozen=True)
class Outcome:
    """A trained method.

    Attributes:
        model: deployable: (n, H, W, 3) in [0, 255] -> scores.
        history: one row an epoch.
        rows: manifest rows of validation and test.
        scores: (len(rows), n_classes) probabilities.
        classes: the labels in class order.
        facts: ``backbone``, ``weights``, ``pretrained``, ``n_seen_train``, ``images_embedded``.
        timing: ``seconds_preparation`` and ``seconds_training``.
    """

    model: keras.Model
    history: pd.DataFrame
    rows: pd.DataFrame
    scores: np.ndarray
    classes: list[str]
    facts: dict[str, Any]
    timing: dict[str, float]


def write_outcome(outcome: Outcome, method: str, root: Path) -> None:
    """Write model, history, predictions and timing of a method below `root`, each to its place."""
    folder = root / "models" / method
    save_model(outcome.model, folder / "model.keras")
    outcome.history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
    facts = {
        "method": method,
        **outcome.facts,
        **count_parameters(outcome.model),
        "model_bytes": (folder / "model.keras").stat().st_size,
        "epochs": len(outcome.history),
        "best_epoch": best_epoch(outcome.history),
    }
    write_predictions(
        root / "predictions" / f"{method}.parquet", outcome.rows, outcome.scores, outcome.classes, facts
    )
    timing = root / "metrics" / "timing" / f"train_{method}.json"
    timing.parent.mkdir(parents=True, exist_ok=True)
    timing.write_text(json.dumps(outcome.timing, indent=2, sort_keys=True) + "\n")
