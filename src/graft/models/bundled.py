"""Pre-trained weights that come with graft: 8-bit kernels and their scales -> those of a Keras model."""

from io import BytesIO
from typing import Any

import keras
import numpy as np

from graft.utils.bundled import read_bundled

# ImageNet weights of MobileNetV2, whose batch normalisation was folded into its convolutions.
FILE = "mobilenet_v2_imagenet_int8.npz"
SHA256 = "25f280cc4ff79887b76c9a0f6f0d7292c915eb64a96e8893d130e4a6a86b73f2"


def load_bundled(application: keras.Model) -> None:
    """Give `keras.applications.MobileNetV2`, without its top, the ImageNet weights that come with graft.

    Raises:
        FileNotFoundError, ValueError: if their file is missing or damaged.
    """
    with np.load(BytesIO(read_bundled(FILE, SHA256))) as arrays:
        for layer in application.layers:
            if layer.weights:
                layer.set_weights(_weights(layer, arrays))


def _weights(layer: keras.layers.Layer, arrays: Any) -> list[np.ndarray]:
    if isinstance(layer, keras.layers.BatchNormalization):  # adds the bias, and does nothing else
        bias = arrays[f"{layer.name}/bias"]
        one = np.ones_like(bias)
        return [one, bias, 0 * one, one * (1 - layer.epsilon)]
    kernel, scale = arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/scale"]
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (h, w, channels, 1)
        scale = scale[:, np.newaxis]
    return [kernel * scale]  # float32
