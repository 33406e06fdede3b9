"""Training of a Keras head behind a frozen backbone, cached or not."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pandas as pd

from graft.config.training import HeadMethod
from graft.models.heads import build_head, fit_scaler
from graft.models.isolation import build_isolated
from graft.training.fit import TrainingData, fit
from graft.training.tracking import Curve

TrainHead = Callable[[int, Curve | None], tuple[keras.Model, pd.DataFrame]]


def head_trainer(
    features: Mapping[str, np.ndarray], data: TrainingData, n_classes: int, params: HeadMethod
) -> TrainHead:
    """Make a function that trains a head with a seed of weights, dropout and order, and records its epochs.

    Args:
        features: of the plain images by split, float16, in the manifest's order; ``train`` is read
            where the head standardises, and may be absent where it does not.
        data: its validation inputs are features, and so are its inputs, behind `embed` if it has one.
        n_classes: of the labels.
        params: head and training.

    Returns:
        Function from the seed and the curve to the head and its history.
    """
    needs_scaler = params.head.normalise == "standardise"
    scaler = fit_scaler(features["train"], params.head.pooling) if needs_scaler else None
    shape = features["validation"].shape[1:]

    def train(seed: int, curve: Curve | None) -> tuple[keras.Model, pd.DataFrame]:
        head = build_isolated(lambda: build_head(shape, n_classes, params.head, scaler, seed))
        return head, fit(head, data, params, seed, curve=curve)

    return train
