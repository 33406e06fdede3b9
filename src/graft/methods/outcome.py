"""What every method ends in: a model trained and scored, and how that is written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.heads import class_scores
from graft.manifest import class_names
from graft.methods.splits import SCORED, rows_by_split
from graft.methods.training import Batches, Inputs, best_epoch, fit
from graft.models import count_parameters, deployable, save_model
from graft.params import Training
from graft.predictions import write_predictions


@dataclass(frozen=True)
class Outcome:
    """A trained method.

    Attributes:
        model: deployable: (n, H, W, channels) in [0, 255] -> scores.
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


def train_and_score(
    parts: Sequence[keras.Model],
    plain: Mapping[str, np.ndarray],
    inputs: Inputs,
    manifest: pd.DataFrame,
    params: Training,
    seed: int,
    facts: dict[str, Any],
    started: float,
) -> Outcome:
    """Train the last of some models that follow each other; score the validation and test images.

    Args:
        parts: such as a backbone and a head; only the last is run and changed here.
        plain: the last part's inputs by split, in the manifest's order: ``validation`` and ``test``.
        inputs: (epoch, row numbers) -> float32 inputs of these training rows.
        manifest: of all splits.
        params: training.
        seed: of the order.
        facts: of the predictions file, as far as they are known before the training.
        started: `time.perf_counter()` when the method began to prepare.
    """
    classes, rows = class_names(manifest), rows_by_split(manifest)
    labels = {split: np.searchsorted(classes, rows[split]["label"]) for split in rows}
    model, prepared = parts[-1], perf_counter()
    history = fit(model, inputs, labels["train"], (plain["validation"], labels["validation"]), params, seed)
    trained = perf_counter()
    batches = [Batches(plain[split], labels[split], params.batch_size) for split in SCORED]
    return Outcome(
        model=deployable(parts[0].input_shape[1], *parts),
        history=history,
        rows=pd.concat([rows[split] for split in SCORED]),
        scores=class_scores(np.concatenate([model.predict(part, verbose=0) for part in batches])),
        classes=classes,
        facts={**facts, "n_seen_train": len(labels["train"])},
        timing={"seconds_preparation": prepared - started, "seconds_training": trained - prepared},
    )


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
