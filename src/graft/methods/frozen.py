"""What all methods with a frozen backbone share: a head, trained on features from anywhere."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.heads import build_head, fit_scaler
from graft.manifest import class_names
from graft.methods.outcome import Outcome, train_and_score
from graft.methods.training import Inputs
from graft.params import HeadMethod


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
    scaler = fit_scaler(features["train"], params.head.pooling) if params.head.standardise else None
    n_classes = len(class_names(manifest))
    head = build_head(backbone.output_shape[1:], n_classes, params.head, scaler, seed)
    return train_and_score([backbone, head], features, inputs, manifest, params, seed, facts, started)
