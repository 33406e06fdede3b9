"""Targets, loss and accuracy: what goes with one sigmoid unit, and with a softmax."""

from typing import Any

import keras
import numpy as np


def targets_for(labels: np.ndarray, n_outputs: int) -> np.ndarray:
    """(n, n_outputs) float32 targets from class numbers: themselves for a sigmoid, else one-hot."""
    if n_outputs == 1:
        return labels[:, None].astype(np.float32)
    targets: np.ndarray = keras.utils.to_categorical(labels, n_outputs)
    return targets.astype(np.float32)


def loss_for(n_outputs: int, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """The loss that fits `output_layer` with so many units; targets are those of `targets_for`, or mixed."""
    if n_outputs == 1:
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def accuracy(targets: Any, outputs: Any) -> Any:
    """(n,) 1 where outputs and targets, which may be mixed, have the same likeliest class.

    Keras's own for one sigmoid unit wants targets of exactly 0 and 1.
    """
    return keras.ops.cast(_decide(targets) == _decide(outputs), "float32")


def _decide(scores: Any) -> Any:
    return scores[:, 0] >= 0.5 if scores.shape[-1] == 1 else keras.ops.argmax(scores, -1)
