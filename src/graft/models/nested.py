"""The layers of models that hold other models."""

from collections.abc import Iterator

import keras


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of those in it, in the order in which they compute."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
