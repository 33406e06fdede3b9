"""What all methods with a frozen backbone share: a head, trained on features from anywhere."""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.heads import build_head, class_scores, fit_scaler
from graft.manifest import class_names
from graft.methods.outcome import Outcome
from graft.methods.training import Inputs, fit
from graft.models import deployable
from graft.params import HeadMethod

SCORED = ("validation", "test")


def rows_by_split(manifest: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The manifest's rows of each split, in the manifest's order."""
    return {str(split): rows for split, rows in manifest.groupby("split")}


def class_numbers(rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """(n,) int64: the position of each row's label among the classes."""
    return np.searchsorted(classes, rows["label"])


def train_head(
    features: Mapping[str, np.ndarray],
    inputs: Inputs,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: HeadMethod,
    seed: int,
    facts: dict[str, Any],
    started: float,
) -> Outcome:
    """Train a head and score the validation and test images with it.

    Args:
        features: of the plain images by split, float16, in the manifest's order; ``train`` is read
            for the standardisation only and may be absent where the head has none.
        inputs: (epoch, row numbers) -> float32 features of these training rows.
        manifest: of all splits.
        backbone: joined with the head for deployment; not run here.
        params: head and training.
        seed: of weights, dropout and order.
        facts: of the predictions file, as far as they are known before the training.
        started: `time.perf_counter()` when the method began to prepare.
    """
    classes, rows = class_names(manifest), rows_by_split(manifest)
    labels = {split: class_numbers(rows[split], classes) for split in rows}
    scaler = fit_scaler(features["train"], params.head.pooling) if params.head.standardise else None
    head = build_head(backbone.output_shape[1:], len(classes), params.head, scaler, seed)
    prepared = perf_counter()
    validation = features["validation"], labels["validation"]
    history = fit(head, inputs, labels["train"], validation, params, seed)
    trained = perf_counter()
    outputs = [head.predict(features[split], verbose=0) for split in SCORED]
    return Outcome(
        model=deployable(backbone.input_shape[1], backbone, head),
        history=history,
        rows=pd.concat([rows[split] for split in SCORED]),
        scores=class_scores(np.concatenate(outputs)),
        classes=classes,
        facts={**facts, "n_seen_train": len(labels["train"])},
        timing={"seconds_preparation": prepared - started, "seconds_training": trained - prepared},
    )
