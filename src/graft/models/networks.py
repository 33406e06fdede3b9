"""Small networks, described layer by layer in params.yaml."""

from collections.abc import Sequence
from typing import Any

import keras

from graft.models.heads import output_layer


def build_network(
    layers: Sequence[dict[str, dict[str, Any]]],
    size: int,
    n_classes: int,
    seed: int,
    channels: int = 3,
    name: str = "scratch",
) -> keras.Sequential:
    """Build a network from its description in params.yaml.

    Args:
        layers: each ``{name of a keras.layers class: its arguments}``.
        size: pixels, height = width.
        n_classes: 2 adds a sigmoid unit, more add a softmax.
        seed: of the initial weights and of the dropout.
        channels: of the images.
        name: of the network, and of its block in params.yaml.

    Raises:
        ValueError: if a layer or an argument does not exist, or the shapes do not fit.
    """
    keras.utils.set_random_seed(seed)
    network = keras.Sequential([keras.Input((size, size, channels))], name=name)
    for i, description in enumerate(layers):
        kind, arguments = next(iter(description.items()))
        layer = getattr(keras.layers, kind, None)
        if not isinstance(layer, type):
            raise ValueError(f"{name}.layers[{i}]: expected a class of keras.layers, received {kind!r}")
        try:
            network.add(layer(**arguments))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}.layers[{i}]: {kind}({arguments}) does not work: {error}") from None
    if len(network.output_shape) != 2:
        raise ValueError(
            f"{name}.layers: expected a vector an image, received shape={network.output_shape[1:]}; "
            "end the layers with Flatten or GlobalAveragePooling2D"
        )
    network.add(output_layer(n_classes))
    return network
