"""What all methods with a frozen backbone share: a head, trained on features from anywhere."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pandas as pd

from graft.apart import apart
from graft.blocks import HeadMethod
from graft.heads import build_head, fit_scaler
from graft.manifest import class_names
from graft.methods.live import Log
from graft.methods.outcome import class_numbers
from graft.methods.training import Embed, Inputs, fit


def head_trainer(
    features: Mapping[str, np.ndarray],
    inputs: Inputs,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: HeadMethod,
    embed: Embed | None = None,
) -> Callable[[int, Log], tuple[keras.Model, pd.DataFrame]]:
    """A function that trains a head with a seed of weights, dropout and order, and logs its epochs.

    Args:
        features: of the plain images by split, float16, in the manifest's order; ``train`` is read
            for the standardisation only and may be absent where the head has none.
        inputs: of training rows, as `graft.methods.training.fit` asks for them.
        manifest: of all splits.
        backbone: its output is what the head takes; it does not run here.
        params: head and training.
        embed: from `inputs` to features; None: they are features.

    Returns:
        Function from the seed and the log to the head and its history.
    """
    scaler = fit_scaler(features["train"], params.head.pooling) if params.head.standardise else None
    labels, n_classes = class_numbers(manifest), len(class_names(manifest))
    validation = features["validation"], labels["validation"]

    def train(seed: int, log: Log) -> tuple[keras.Model, pd.DataFrame]:
        head = apart(lambda: build_head(backbone.output_shape[1:], n_classes, params.head, scaler, seed))
        return head, fit(head, inputs, labels["train"], validation, params, seed, embed, log=log)

    return train
