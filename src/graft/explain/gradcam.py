"""Grad-CAM: the places of an image that speak for a class (Selvaraju et al., arXiv 1610.02391)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import isqrt
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from graft.models.backend import differentiate, make_deterministic
from graft.models.nested import leaves
from graft.models.transformers import blocks_of
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
    `feature_layer`, or the patches' tokens that enter the last block of a vision transformer (of those that
    leave it, none may reach the score), k its channels, and alpha_k the mean over all places of the
    derivative of the class's score by A_k. That score is the one before the softmax, whose own
    derivative fades where the model is sure; for class 1 of a sigmoid the one before it, and for
    class 0 minus that. Of a mean of several heads it is the mean of theirs, with the same weights.

    Args:
        model: from (n, H, W, channels) images to a sigmoid or a softmax in a dense layer; it may hold
            other models, to any depth. It stays as it was, and computes in inference mode.
        images: (n, H, W, channels) in [0, 255], or what else the model takes; they go through it at once.
        numbers: of the class to explain, for each image; None: the class that the model predicts.

    Raises:
        ValueError: if the model has neither convolution nor tokens, or does not end in a dense layer.
    """
    make_deterministic()
    layers = list(leaves(model))
    blocks = [block for layer in layers for block in blocks_of(layer)]
    deepest, end = blocks[-1] if blocks else feature_layer(layers), model.layers[-1]
    # An own file used as a backbone may end in such a layer, too: only the head's are outputs.
    last = _output_layers(list(leaves(end)) if isinstance(end, keras.Model) else layers)
    chosen = np.asarray(decide(_to_scores(model(images, training=False))) if numbers is None else numbers)

    def score(added: Any) -> tuple[Any, Any]:
        with followed(deepest, added, bool(blocks)) as maps, _straight_through(last):
            outputs = model(images, training=False)
        both = ops.concatenate([-outputs, outputs], 1) if outputs.shape[1] == 1 else outputs
        targets = ops.take_along_axis(both, chosen[:, None], axis=1)
        # The sum has the derivatives of each image alone: no score depends on another's maps.
        return ops.sum(targets), (maps[-1], outputs)

    like = _tokens(model, deepest, images) if blocks else deepest.output
    (maps, outputs), gradients = differentiate(score, (len(images), *like.shape[1:]), like.dtype)
    maps, gradients, scores = *map(ops.convert_to_numpy, (maps, gradients)), _to_scores(outputs)
    if blocks:
        maps, gradients = _grid(maps), _grid(gradients)
    return [
        Explanation(_heat(of_image, gradient), int(number), float(probabilities[number]))
        for of_image, gradient, number, probabilities in zip(maps, gradients, chosen, scores, strict=True)
    ]


def _tokens(model: keras.Model, block: keras.layers.Layer, images: np.ndarray) -> Any:
    """The tokens (n, t, channels) that enter a block; KerasHub's own shapes of SigLIP's have one too many."""
    with followed(block, at_input=True) as tokens:
        model(images, training=False)
    return tokens[-1]


def _grid(tokens: np.ndarray) -> np.ndarray:
    """(n, t, channels), those of class and registers first -> (n, h, w, channels) of the patches."""
    n, n_tokens, channels = tokens.shape
    side = isqrt(n_tokens)
    return tokens[:, n_tokens - side**2 :].reshape(n, side, side, channels)


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
            "Grad-CAM needs a convolution or the tokens of a vision transformer of KerasHub, received a "
            "model of "
            f"layers={[layer.name for layer in layers]}; explain only methods with such a backbone"
        )
    chosen = layers[places[-1]]
    for layer in layers[places[-1] + 1 :]:
        if tuple(layer.output.shape[1:-1]) != tuple(chosen.output.shape[1:-1]):
            break
        chosen = layer
    return chosen


def _output_layers(layers: Sequence[keras.layers.Layer]) -> list[keras.layers.Dense]:
    """The last layer, and those of other heads, whose scores are averaged with its own."""
    last = [layer for layer in layers if layer.weights][-1]
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(
            "Grad-CAM needs a model that ends in a Dense layer with a sigmoid or a softmax, received "
            f"one whose last layer with weights is {last.name!r} ({type(last).__name__})"
        )
    alike = [layer for layer in layers if isinstance(layer, keras.layers.Dense) and layer.units == last.units]
    return [layer for layer in alike if layer.activation is last.activation]


@contextmanager
def followed(layer: keras.layers.Layer, added: Any = 0, at_input: bool = False) -> Iterator[list[Any]]:
    """Collect the outputs of a layer's calls, or its inputs; zeros may be added to these.

    By these the score has the derivative that it has by the output, and nothing is recorded of what comes
    before the layer. It is found however deep in other models it lies, of which none is rebuilt.
    """
    call, outputs = layer.call, list[Any]()

    def record(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if at_input:
            outputs.append(inputs + added)
            return call(outputs[-1], *args, **kwargs)
        outputs.append(call(inputs, *args, **kwargs) + added)
        return outputs[-1]

    layer.call = record
    try:
        yield outputs
    finally:
        del layer.call  # the class's own is visible again


@contextmanager
def _straight_through(layers: Sequence[keras.layers.Dense]) -> Iterator[None]:
    """Leave the outputs of layers as they are, and let their derivatives be those before the activation."""
    activations = [layer.activation for layer in layers]

    def straight(before: Any, activation: Any) -> Any:
        return ops.stop_gradient(activation(before)) + (before - ops.stop_gradient(before))

    try:
        for layer, activation in zip(layers, activations, strict=True):
            layer.activation = partial(straight, activation=activation)
        yield
    finally:
        for layer, activation in zip(layers, activations, strict=True):
            layer.activation = activation


def _heat(maps: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """(h, w, channels) feature maps and the score's derivatives by them -> (h, w) heat in [0, 1]."""
    heat = np.maximum(maps.astype(np.float32) @ gradients.astype(np.float32).mean((0, 1)), 0)
    return np.asarray(heat / (heat.max() or 1))
