"""A row of params.yaml -> a frozen keras.Model from raw pixels to features, preprocessing included."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import keras
import numpy as np

from graft.config.features import RANDOM, BackboneRow, Precision, check_weights
from graft.models.backend import compile_inference, pad
from graft.models.isolation import build_isolated
from graft.models.libraries import applications, hub, own_file
from graft.models.libraries.common import BackboneError

LIBRARIES: dict[str, Any] = {"applications": applications, "keras_hub": hub, "file": own_file}
# Means and standard deviations of pixels in [0, 1], which keras.applications has no name of its own for.
STANDARDS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Backbone:
    """A backbone as params.yaml describes it.

    Attributes:
        row: library, application, preprocessing, layer, pooling, image size, batch size.
        weights: ``random`` (nothing is pre-trained: He-normal, He et al. 2015, arXiv 1502.01852, or what
            KerasHub begins with), ``bundled`` (ImageNet weights that come with graft, of `HAVE_BUNDLED`),
            ``imagenet`` (what the library downloads, once, to its own cache), ``file`` (those in the file of
            ``library: file``), or a path: of a weights file for the application without its top, or of the
            folder of a preset of KerasHub.
        seed: of ``random``.
    """

    row: BackboneRow
    weights: str
    seed: int

    def build(self, precision: Precision = "float32") -> keras.Model:
        """Build the frozen backbone.

        Args:
            precision: what the application's layers compute in, with any preprocessing inside it. Weights,
                preprocessing before it and pooling are float32 in either case. Warns where ``bfloat16``
                has to be emulated.

        Returns:
            Model from float32 (n, size, size, 3) in [0, 255] to the features: (n, h, w, c), or (n, c)
            where they are pooled.

        Raises:
            BackboneError: if the application, preprocessing, layer or pooling does not exist, the images
                are too small, or the weights cannot be had, do not fit or are not finite.
            ValueError: if the library has no such weights, or is not installed.
        """
        row = self.row
        check_weights(self.weights, row)
        _preprocess(row.preprocessing)
        features = LIBRARIES[row.library].build(row, self.weights, self.seed, precision)
        if self.weights == RANDOM:
            print(f"backbone {row.application}: weights=random, nothing is pre-trained")
        _check_finite(features, self.weights)
        backbone = build_isolated(lambda: from_pixels(features, row))
        backbone.trainable = False
        return backbone

    def build_pair(self, precision: Precision) -> tuple[keras.Model, keras.Model]:
        """Build it in float32, to deploy, and in `precision`, to run: one model where that is float32."""
        exact = self.build()
        return exact, exact if precision == "float32" else self.build(precision)


def outline(row: BackboneRow, weights: str = RANDOM) -> keras.Model:
    """The application of a row up to its layer, its weights without values: cheap, to check names.

    Args:
        row: of params.yaml.
        weights: of params.yaml; the folder of a preset has an architecture of its own.

    Raises:
        BackboneError: if the application, preprocessing, layer or pooling does not exist, or the images are
            too small.
    """
    _preprocess(row.preprocessing)
    features: keras.Model = LIBRARIES[row.library].outline(row, weights)
    _pooling_layers(features.output_shape[1:], row)
    return features


def application_in(backbone: keras.Model) -> keras.Model:
    """The application in a backbone: that part of it which is a model."""
    return next(layer for layer in backbone.layers if isinstance(layer, keras.Model))


def library_facts(backbone: keras.Model, row: BackboneRow) -> dict[str, str]:
    """All that determines a feature besides the row, the weights and Keras, by name: the library's own."""
    return hub.facts(application_in(backbone)) if row.library == "keras_hub" else {}


def from_pixels(features: keras.Model, row: BackboneRow) -> keras.Model:
    """Preprocessing -> features -> pooling, as the row has them.

    Args:
        features: from what ``row.preprocessing`` gives to feature maps (n, h, w, c), tokens (n, t, c) or
            vectors (n, c); its input may be a dictionary of one tensor.
        row: preprocessing, pooling, image size.
    """
    pixels = keras.Input((row.image_size, row.image_size, 3), name="pixels")
    prepared, named = _preprocess(row.preprocessing)(pixels), features.input
    output = features(dict.fromkeys(named, prepared) if isinstance(named, dict) else prepared)
    for layer in _pooling_layers(output.shape[1:], row):
        output = layer(output)
    return keras.Model(pixels, output, name="backbone")


def _pooling_layers(shape: tuple[int, ...], row: BackboneRow) -> list[keras.layers.Layer]:
    """The layers from the application's output, of this shape without the batch, to the feature."""
    layers = keras.layers
    if len(shape) == 2:
        return _token_layers(*shape, row)
    legal = ("none", "avg", "max") if len(shape) == 3 else ("none",)
    if row.pooling not in legal:
        raise BackboneError(
            f"pooling={row.pooling}: {row.application} gives {'maps' if len(shape) == 3 else 'vectors'} of "
            f"the shape {shape}, which have no class token; set pooling to {' or '.join(legal)}"
        )
    pool = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
    return [pool[row.pooling]()] if row.pooling in pool else []


def _token_layers(n_tokens: int, channels: int, row: BackboneRow) -> list[keras.layers.Layer]:
    """From the tokens of a vision transformer: first one of the class and registers, then those of a grid."""
    layers, grid = keras.layers, isqrt(n_tokens)
    before = n_tokens - grid**2  # exact where the grid has three rows or more
    if row.pooling == "cls":
        if not before:
            raise BackboneError(
                f"pooling=cls: {row.application} has no class token; set pooling to none, avg or max"
            )
        return [layers.Cropping1D((0, n_tokens - 1)), layers.Flatten()]
    of_grid = [layers.Cropping1D((before, 0))] if before else []
    pool = {"avg": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}
    return [*of_grid, pool[row.pooling]() if row.pooling in pool else layers.Reshape((grid, grid, channels))]


def _preprocess(name: str) -> Any:
    """The function or layer from pixels to what the application takes."""
    if name == "none":
        return keras.layers.Identity()
    if name == "rescale":
        return keras.layers.Rescaling(1 / 255)
    if name in STANDARDS:
        mean, std = map(np.array, STANDARDS[name])
        return keras.layers.Rescaling((1 / (255 * std)).tolist(), (-mean / std).tolist())
    modules = {
        name: module
        for name, module in vars(keras.applications).items()
        if hasattr(module, "preprocess_input")
    }
    if name not in modules:
        legal = ["rescale", "none", *STANDARDS]
        raise BackboneError(
            f"preprocessing={name!r} is unknown; choose {', '.join(legal)} or one of "
            f"{', '.join(sorted(modules))}"
        )
    return modules[name].preprocess_input


def _check_finite(features: keras.Model, weights: str) -> None:
    for tensor in features.weights:
        if n := int((~np.isfinite(tensor.numpy())).sum()):
            raise BackboneError(
                f"weights={weights}: {tensor.path} has {n:,} values that are NaN or infinite, expected "
                "finite numbers: get the file again, or give another one"
            )


def make_embedder(
    backbone: keras.Model, batch_size: int, spare_rows: int = 1
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that embeds images in batches of one constant shape.

    The last batch is padded, so that a row's value does not depend on how many came with it, and
    every batch by one row more: TensorFlow's CPU convolution may end a batch with another kernel,
    and the last bits of its last row would depend on its place (seen with TensorFlow 2.21).

    Args:
        backbone: from float32 pixels in [0, 255] to features.
        batch_size: how many images it embeds at once.
        spare_rows: of padding in every batch; 0 where an image has the same place in every run.

    Returns:
        Function from (n, size, size, 3) pixels in [0, 255] to (n, ...) float32 features, any n > 0.
    """
    length = batch_size + spare_rows
    forward = compile_inference(backbone, length)

    return in_batches(forward, batch_size, length)


def in_batches(
    forward: Callable[[np.ndarray], np.ndarray], batch_size: int, length: int
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of any number of images by one of a constant number.

    Args:
        forward: from (length, size, size, 3) pixels to (length, ...) features.
        batch_size: how many images are handed to it at once.
        length: how many rows it takes; those that are no image are zeros.
    """

    def embed(images: np.ndarray) -> np.ndarray:
        chunks = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
        return np.concatenate([forward(pad(chunk, length))[: len(chunk)] for chunk in chunks])

    return embed
