"""The feature maps of a layer: where in an image each of its channels found what it looks for."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from graft.explain.gradcam import feature_layer, followed
from graft.models.nested import leaves

MOST = 64  # channels


class FeatureMaps(NamedTuple):
    """The channels of a layer that answered most.

    Attributes:
        layer: its name.
        maps: (h, w, n) float32 in [0, 1], each divided by its maximum, what is negative as 0.
        channels: their numbers, by mean value, the highest first.
        n_channels: how many the layer has.
    """

    layer: str
    maps: np.ndarray
    channels: list[int]
    n_channels: int


def read_feature_maps(model: keras.Model, pixels: np.ndarray, name: str | None = None) -> FeatureMaps:
    """Run an image through a model and keep what a layer gives.

    Args:
        model: from (n, size, size, channels); it may hold other models, to any depth.
        pixels: (size, size, channels).
        name: of a layer whose output is a map (h, w, channels); None: the one that Grad-CAM weighs.

    Raises:
        ValueError: if no such layer has that name.
    """
    layers = list(leaves(model))
    having = {layer.name: layer for layer in layers if len(layer.output.shape) == 4}
    if not having:
        raise ValueError("no layer of this model gives maps (n, h, w, channels): there is none to show")
    if name is not None and name not in having:
        known = ", ".join(having) or "none does"
        raise ValueError(f"layer={name!r}: expected one that gives maps: {known}")
    layer = feature_layer(layers) if name is None else having[name]
    with followed(layer) as outputs:
        model(pixels[None].astype(np.float32), training=False)
    found = ops.convert_to_numpy(ops.cast(outputs[-1], "float32"))[0].clip(0)
    channels = np.argsort(-found.mean((0, 1)), kind="stable")[:MOST]
    maps = found[..., channels]
    return FeatureMaps(
        layer.name, maps / np.maximum(maps.max((0, 1)), 1e-9), channels.tolist(), found.shape[-1]
    )
