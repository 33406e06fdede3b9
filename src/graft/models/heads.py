"""Heads: the layers on top of a backbone, their pooling and standardisation."""

import keras
import numpy as np
from sklearn.preprocessing import StandardScaler

from graft.config.training import Head

CHUNK_ROWS = 256


def build_head(
    input_shape: tuple[int, ...], n_classes: int, params: Head, scaler: StandardScaler | None, seed: int
) -> keras.Sequential:
    """Build pooling -> standardisation -> dense layers -> dropout -> output.

    Args:
        input_shape: of one feature: (h, w, c), or (c,) which needs no pooling.
        n_classes: 2 gives one sigmoid unit, more give a softmax.
        params: pooling, dense units, batch normalisation, dropout, L2.
        scaler: fitted on the pooled training features; None leaves them as they are.
        seed: of the initial weights and of the dropout.
    """
    keras.utils.set_random_seed(seed)
    layers = [keras.Input(input_shape), *pooling_layers(input_shape, params.pooling)]
    if scaler is not None:
        layers.append(keras.layers.Normalization(mean=scaler.mean_, variance=np.square(scaler.scale_)))
    for units in params.dense:
        layers += _hidden_layer(units, params)
    if params.dropout:
        layers.append(keras.layers.Dropout(params.dropout))
    return keras.Sequential([*layers, output_layer(n_classes, params.l2)], name="head")


def output_layer(n_classes: int, l2: float = 0.0) -> keras.layers.Layer:
    """One sigmoid unit for 2 classes, a softmax for more; `l2` is a penalty on its kernel."""
    units, activation = (1, "sigmoid") if n_classes == 2 else (n_classes, "softmax")
    penalty = _penalty(l2)
    return keras.layers.Dense(units, activation, kernel_regularizer=penalty, dtype="float32", name="score")


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
        scaler.partial_fit(pool(features[start : start + CHUNK_ROWS].astype(np.float64), pooling))
    return scaler


def _hidden_layer(units: int, params: Head) -> list[keras.layers.Layer]:
    if not params.batch_norm:
        return [keras.layers.Dense(units, "relu", kernel_regularizer=_penalty(params.l2))]
    # Without a bias, which the normalisation would take away again: it adds its own.
    dense = keras.layers.Dense(units, use_bias=False, kernel_regularizer=_penalty(params.l2))
    return [dense, keras.layers.BatchNormalization(), keras.layers.Activation("relu")]


def _penalty(l2: float) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L2(l2) if l2 else None


def pooling_layers(input_shape: tuple[int, ...], pooling: str) -> list[keras.layers.Layer]:
    """Make the layers from a feature, (h, w, c) or (c,), to a vector."""
    if pooling == "flatten" or len(input_shape) == 1:
        return [keras.layers.Flatten()]
    layer = keras.layers.GlobalAveragePooling2D if pooling == "avg" else keras.layers.GlobalMaxPooling2D
    return [layer()]


def pool(features: np.ndarray, pooling: str) -> np.ndarray:
    """Pool features (n, h, w, c) or (n, c) to (n, d), as `pooling_layers` do."""
    if pooling == "flatten" or features.ndim == 2:
        return features.reshape(len(features), -1)
    pooled: np.ndarray = features.mean((1, 2)) if pooling == "avg" else features.max((1, 2))
    return pooled
