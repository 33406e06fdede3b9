"""What all methods with a frozen backbone share: a head, trained on features from anywhere."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pandas as pd

from graft.config.training import HeadMethod
from graft.data.manifest import class_names
from graft.methods.outcome import class_numbers
from graft.models.heads import build_head, fit_scaler
from graft.models.isolation import build_isolated
from graft.training.fit import Embed, Inputs, fit
from graft.training.tracking import Log


def head_trainer(
    features: Mapping[str, np.ndarray],
    inputs: Inputs,
    manifest: pd.DataFrame,
    feature_shape: tuple[int, ...],
    params: HeadMethod,
    embed: Embed | None = None,
) -> Callable[[int, Log], tuple[keras.Model, pd.DataFrame]]:
    """A function that trains a head with a seed of weights, dropout and order, and logs its epochs.

    Args:
        features: of the plain images by split, float16, in the manifest's order; ``train`` is read
            for the standardisation only and may be absent where the head has none.
        inputs: of training rows, as `graft.training.fit.fit` asks for them.
        manifest: of all splits.
        feature_shape: of one feature: (h, w, c) or (c,).
        params: head and training.
        embed: from `inputs` to features; None: they are features.

    Returns:
        Function from the seed and the log to the head and its history.
    """
    scaler = fit_scaler(features["train"], params.head.pooling) if params.head.standardise else None
    labels, n_classes = class_numbers(manifest), len(class_names(manifest))
    validation = features["validation"], labels["validation"]

    def train(seed: int, log: Log) -> tuple[keras.Model, pd.DataFrame]:
        head = build_isolated(lambda: build_head(feature_shape, n_classes, params.head, scaler, seed))
        return head, fit(head, inputs, labels["train"], validation, params, seed, embed, log=log)

    return train
