"""Heads: the layers on top of a backbone, their pooling and normalisation."""

from math import sqrt
from typing import TYPE_CHECKING

import keras
import numpy as np

from graft.config.training import Head, Normalise, Pooling

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

CHUNK_ROWS = 256
SHORTEST = 1e-12  # length of a row, as in keras.layers.UnitNormalization


def build_head(
    input_shape: tuple[int, ...], n_classes: int, params: Head, scaler: "StandardScaler | None", seed: int
) -> keras.Sequential:
    """Build pooling -> normalisation -> dense layers -> dropout -> output.

    Args:
        input_shape: of one feature: (h, w, c), or (c,) which needs no pooling.
        n_classes: 2 gives one sigmoid unit, more give a softmax.
        params: pooling, normalisation, dense units, batch normalisation, dropout, L2.
        scaler: of ``standardise``, fitted on the pooled training features; else None.
        seed: of the initial weights and of the dropout.
    """
    keras.utils.set_random_seed(seed)
    layers = vector_layers(input_shape, params.pooling, params.normalise, scaler)
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


def fit_scaler(features: np.ndarray, pooling: Pooling) -> "StandardScaler":
    """Mean and scale of each dimension of the pooled features.

    A dimension without variance keeps scale 1, as scikit-learn has it; Keras's `Normalization`
    would divide by its epsilon and ruin unseen images.

    Args:
        features: (n, h, w, c) or (n, c), read in chunks so that it may be memory-mapped.
        pooling: ``flatten``, ``avg`` or ``max``.
    """
    from sklearn.preprocessing import StandardScaler  # takes a second to import

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


def vector_layers(
    input_shape: tuple[int, ...], pooling: Pooling, how: Normalise, scaler: "StandardScaler | None"
) -> list[keras.layers.Layer]:
    """Make the first layers of a head: from a feature, (h, w, c) or (c,), to its vector, normalised.

    They do what `pool` and then `normalise` do.
    """
    layers = [keras.Input(input_shape), _pooling_layer(input_shape, pooling)]
    if how == "l2":
        width = pool(np.zeros((1, *input_shape)), pooling).shape[1]
        layers += [keras.layers.UnitNormalization(), keras.layers.Rescaling(sqrt(width))]
    if scaler is not None:
        layers.append(_standardisation(scaler))
    return layers


def _standardisation(scaler: "StandardScaler") -> keras.layers.Layer:
    """A scaler as a layer whose mean and variance are weights: Keras's `Normalization` loses them in ONNX."""
    layer = keras.layers.BatchNormalization(
        epsilon=0.0, center=False, scale=False, trainable=False, name="standardise"
    )
    layer.build((None, len(scaler.mean_)))
    layer.set_weights([scaler.mean_, np.square(scaler.scale_)])
    return layer


def _pooling_layer(input_shape: tuple[int, ...], pooling: Pooling) -> keras.layers.Layer:
    if pooling == "flatten" or len(input_shape) == 1:
        return keras.layers.Flatten()
    return keras.layers.GlobalAveragePooling2D() if pooling == "avg" else keras.layers.GlobalMaxPooling2D()


def pool(features: np.ndarray, pooling: Pooling) -> np.ndarray:
    """Pool features (n, h, w, c) or (n, c) to (n, d)."""
    if pooling == "flatten" or features.ndim == 2:
        return features.reshape(len(features), -1)
    pooled: np.ndarray = features.mean((1, 2)) if pooling == "avg" else features.max((1, 2))
    return pooled


def normalise(x: np.ndarray, how: Normalise, scaler: "StandardScaler | None" = None) -> np.ndarray:
    """Normalise rows (n, d) of features.

    ``l2`` scales each row to the length sqrt(d), which is that of a standardised row, so that one grid of C
    suits both; a row of zeros stays. ``standardise`` gives each dimension mean 0 and variance 1 by the
    scaler. ``none`` changes nothing.

    >>> normalise(np.array([[3.0, 4.0]]), "l2").round(3)
    array([[0.849, 1.131]])
    """
    if how == "l2":
        length = np.maximum(np.linalg.norm(x, axis=1, keepdims=True), SHORTEST)
        return np.asarray(x * sqrt(x.shape[1]) / length)
    return np.asarray(scaler.transform(x)) if scaler else x
