"""Grad-CAM: the places of an image that speak for a class (Selvaraju et al., arXiv 1610.02391)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from graft.models.backend import differentiate, make_deterministic
from graft.training.decision import class_scores, decide

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


class Explanation(NamedTuple):
    """Where a model looks for a class in an image.

    Attributes:
        heat: (h, w) float32 in [0, 1], of the size of the feature map, over the whole image; its maximum
            is 1, or all of it is 0 where no place speaks for the class.
        number: of the class.
        score: the probability that the model gives it.
    """

    heat: np.ndarray
    number: int
    score: float


def gradcam(
    model: keras.Model, images: np.ndarray, numbers: Sequence[int] | None = None
) -> list[Explanation]:
    """Explain what a model predicts for images of one size.

    The heat is ReLU(sum over k of alpha_k A_k), divided by its maximum. A is the output of
    `feature_layer`, k its channels, and alpha_k the mean over all places of the derivative of the
    class's score by A_k. That score is the one before the softmax, whose own derivative fades where
    the model is sure; for class 1 of a sigmoid the one before it, and for class 0 minus that.

    Args:
        model: from (n, H, W, channels) images to a sigmoid or a softmax in a dense layer; it may hold
            other models, to any depth. It stays as it was, and computes in inference mode.
        images: (n, H, W, channels) in [0, 255], or what else the model takes; they go through it at once.
        numbers: of the class to explain, for each image; None: the class that the model predicts.

    Raises:
        ValueError: if the model has no convolution, or does not end in a dense layer.
    """
    make_deterministic()
    layers = list(leaves(model))
    deepest, last = feature_layer(layers), _output_layer(layers)
    chosen = np.asarray(decide(_to_scores(model(images, training=False))) if numbers is None else numbers)

    def score(added: Any) -> tuple[Any, Any]:
        with followed(deepest, added) as maps_calls, followed(last) as last_calls:
            outputs = model(images, training=False)
        (inputs, _), (_, maps) = last_calls[-1], maps_calls[-1]
        before = inputs @ last.kernel  # without the bias, which has no part in the derivative
        both = ops.concatenate([-before, before], 1) if before.shape[1] == 1 else before
        targets = ops.take_along_axis(both, chosen[:, None], axis=1)
        return ops.sum(targets), (maps, outputs)  # of each image alone: no score depends on another's maps

    shape = len(images), *deepest.output.shape[1:]
    (maps, outputs), gradients = differentiate(score, shape, deepest.output.dtype)
    maps, gradients, scores = *map(ops.convert_to_numpy, (maps, gradients)), _to_scores(outputs)
    return [
        Explanation(_heat(of_image, gradient), int(number), float(probabilities[number]))
        for of_image, gradient, number, probabilities in zip(maps, gradients, chosen, scores, strict=True)
    ]


def _to_scores(outputs: Any) -> np.ndarray:
    return class_scores(ops.convert_to_numpy(outputs))


def feature_layer(layers: Sequence[keras.layers.Layer]) -> keras.layers.Layer:
    """The layer whose output Grad-CAM weighs.

    It is the last at or after the last convolution whose output still has that convolution's height
    and width. What follows the layer sees no more of the image than this output, which the convolution's
    own need not be: of MobileNetV2 it is the activation behind the normalisation, whose zeros say
    that a channel found nothing; of a ResNet the whole block's output, of which the convolution
    gives only what is added. VGG's convolutions hold their activation: there it is `block5_conv4` itself.

    Args:
        layers: in the order in which they compute.

    Raises:
        ValueError: if none is a convolution.
    """
    places = [i for i, layer in enumerate(layers) if isinstance(layer, CONVOLUTIONS)]
    if not places:
        raise ValueError(
            f"Grad-CAM needs a convolution, received a model of layers={[layer.name for layer in layers]}; "
            "explain only methods with a convolutional backbone"
        )
    chosen = layers[places[-1]]
    for layer in layers[places[-1] + 1 :]:
        if tuple(layer.output.shape[1:-1]) != tuple(chosen.output.shape[1:-1]):
            break
        chosen = layer
    return chosen


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of those in it, in the order in which they compute."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _output_layer(layers: Sequence[keras.layers.Layer]) -> keras.layers.Layer:
    last = [layer for layer in layers if layer.weights][-1]
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(
            "Grad-CAM needs a model that ends in a Dense layer with a sigmoid or a softmax, received "
            f"one whose last layer with weights is {last.name!r} ({type(last).__name__})"
        )
    return last


@contextmanager
def followed(layer: keras.layers.Layer, added: Any = None) -> Iterator[list[tuple[Any, Any]]]:
    """Collect inputs and output of a layer's calls, to which zeros may be added.

    By these the score has the derivative that it has by the output, and nothing is recorded of what comes
    before the layer. It is found however deep in other models it lies, of which none is rebuilt.
    """
    call, calls = layer.call, list[tuple[Any, Any]]()

    def record(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = call(inputs, *args, **kwargs)
        output = output if added is None else output + added
        calls.append((inputs, output))
        return output

    layer.call = record
    try:
        yield calls
    finally:
        del layer.call  # the class's own is visible again


def _heat(maps: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """(h, w, channels) feature maps and the score's derivatives by them -> (h, w) heat in [0, 1]."""
    heat = np.maximum(maps.astype(np.float32) @ gradients.astype(np.float32).mean((0, 1)), 0)
    return np.asarray(heat / (heat.max() or 1))
