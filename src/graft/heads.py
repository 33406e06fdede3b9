"""Heads: the layers on top of a backbone, the loss, and the scores that go with the number of classes."""

import keras
import numpy as np
from sklearn.preprocessing import StandardScaler

from graft.params import Head

CHUNK_ROWS = 256


def build_head(
    input_shape: tuple[int, ...], n_classes: int, params: Head, scaler: StandardScaler | None, seed: int
) -> keras.Sequential:
    """Build pooling -> standardisation -> dense layers -> dropout -> output.

    Args:
        input_shape: of one feature: (h, w, c), or (c,) which needs no pooling.
        n_classes: 2 gives one sigmoid unit, more give a softmax.
        params: pooling, dense units, dropout.
        scaler: fitted on the pooled training features; None leaves them as they are.
        seed: of the initial weights and of the dropout.
    """
    keras.utils.set_random_seed(seed)
    layers = [keras.Input(input_shape), *_pooling(input_shape, params)]
    if scaler is not None:
        layers.append(keras.layers.Normalization(mean=scaler.mean_, variance=np.square(scaler.scale_)))
    layers += [keras.layers.Dense(units, activation="relu") for units in params.dense]
    if params.dropout:
        layers.append(keras.layers.Dropout(params.dropout))
    return keras.Sequential([*layers, output_layer(n_classes)], name="head")


def output_layer(n_classes: int) -> keras.layers.Layer:
    """One sigmoid unit for 2 classes, a softmax for more."""
    if n_classes == 2:
        return keras.layers.Dense(1, activation="sigmoid", name="score")
    return keras.layers.Dense(n_classes, activation="softmax", name="score")


def loss_for(n_outputs: int) -> str:
    """The loss that fits `output_layer` with so many units; targets are class numbers in either case."""
    return "binary_crossentropy" if n_outputs == 1 else "sparse_categorical_crossentropy"


def class_scores(outputs: np.ndarray) -> np.ndarray:
    """(n, n_classes) probabilities from a model's outputs: a sigmoid's p becomes (1 - p, p)."""
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def fit_scaler(features: np.ndarray, pooling: str) -> StandardScaler:
    """Mean and scale of each dimension of the pooled features.

    A dimension without variance keeps scale 1, as scikit-learn has it; Keras's `Normalization`
    would divide by its epsilon and ruin unseen images.

    Args:
        features: (n, h, w, c) or (n, c), read in chunks so that it may be memory-mapped.
        pooling: ``flatten``, ``avg`` or ``max``.
    """
    scaler = StandardScaler()
    for start in range(0, len(features), CHUNK_ROWS):
        scaler.partial_fit(_pool(features[start : start + CHUNK_ROWS].astype(np.float64), pooling))
    return scaler


def _pooling(input_shape: tuple[int, ...], params: Head) -> list[keras.layers.Layer]:
    if params.pooling == "flatten" or len(input_shape) == 1:
        return [keras.layers.Flatten()]
    layer = (
        keras.layers.GlobalAveragePooling2D if params.pooling == "avg" else keras.layers.GlobalMaxPooling2D
    )
    return [layer()]


def _pool(features: np.ndarray, pooling: str) -> np.ndarray:
    if pooling == "flatten" or features.ndim == 2:
        return features.reshape(len(features), -1)
    pooled: np.ndarray = features.mean((1, 2)) if pooling == "avg" else features.max((1, 2))
    return pooled
