"""A row of params.yaml -> a frozen keras.Model from raw pixels to features, preprocessing included."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from graft.config.features import BUNDLED, IMAGENET, RANDOM, BackboneRow, Precision, check_weights
from graft.models.backend import compile_inference, pad
from graft.models.bundled import load_bundled
from graft.models.dtype_policy import computing_in
from graft.models.isolation import build_isolated

KERAS_MODELS = "~/.keras/models"
# Keras scales their input once more where weights="imagenet": keras/src/applications/efficientnet.py
SCALED_FOR_IMAGENET = tuple(f"EfficientNetB{i}" for i in range(8))


class BackboneError(ValueError):
    """A backbone that cannot be built as params.yaml says."""


@dataclass(frozen=True)
class Backbone:
    """A backbone as params.yaml describes it.

    Attributes:
        row: application, preprocessing, layer, pooling, image size, batch size.
        weights: ``random`` (He-normal, He et al. 2015, arXiv 1502.01852; nothing is pre-trained),
            ``bundled`` (ImageNet weights that come with graft, of `HAVE_BUNDLED`), ``imagenet`` (Keras's
            file, downloaded once to Keras's own cache) or the path of a weights file for the application
            without its top.
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
            where ``row.pooling`` is not ``none``.

        Raises:
            BackboneError: if the application, preprocessing or layer does not exist, the images are
                too small, or the weights cannot be had, do not fit or are not finite.
            ValueError: if graft comes with no weights of the application, though it is to have them.
        """
        check_weights(self.weights, self.row.application)
        if self.weights == IMAGENET:
            outline(self.row)  # whose errors come before any download
            _fetch_imagenet(self.row)
        base = build_isolated(
            lambda: _application(self.row, precision, IMAGENET if self.weights == IMAGENET else None)
        )
        features = _up_to_layer(base, self.row)
        if self.weights == RANDOM:
            print(f"backbone {self.row.application}: weights=random, nothing is pre-trained")
            _draw_weights(base, features, self.seed)
        elif self.weights == BUNDLED:
            load_bundled(base)
        elif self.weights != IMAGENET:
            _load_weights(base, self.row, self.weights)
        _check_finite(features, self.weights)
        backbone = build_isolated(lambda: from_pixels(features, self.row))
        backbone.trainable = False
        return backbone

    def build_pair(self, precision: Precision) -> tuple[keras.Model, keras.Model]:
        """Build it in float32, to deploy, and in `precision`, to run: one model where that is float32."""
        exact = self.build()
        return exact, exact if precision == "float32" else self.build(precision)


def outline(row: BackboneRow) -> keras.Model:
    """The application of a row up to its layer, its weights without values: cheap, to check names.

    Raises:
        BackboneError: if the application, preprocessing or layer does not exist, or the images are
            too small.
    """

    def build() -> keras.Model:
        with keras.StatelessScope(initialize_variables=False):
            return _application(row, "float32", None)

    _preprocess(row.preprocessing)
    return _up_to_layer(build_isolated(build), row)


def from_pixels(features: keras.Model, row: BackboneRow) -> keras.Model:
    """Preprocessing -> features -> pooling, as the row has them.

    Args:
        features: from what ``row.preprocessing`` gives to feature maps (n, h, w, c).
        row: preprocessing, pooling, image size.
    """
    pixels = keras.Input((row.image_size, row.image_size, 3), name="pixels")
    output = features(_preprocess(row.preprocessing)(pixels))
    if row.pooling != "none":
        pool = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
        output = pool[row.pooling]()(output)
    return keras.Model(pixels, output, name="backbone")


def _application(row: BackboneRow, precision: Precision, weights: str | None) -> keras.Model:
    build = getattr(keras.applications, row.application, None)
    if not callable(build) or isinstance(build, ModuleType):
        legal = sorted(name for name in dir(keras.applications) if name[0].isupper())
        raise BackboneError(
            f"application={row.application!r} is not in keras.applications; choose one of {', '.join(legal)}"
        )
    try:
        with computing_in(precision):
            return build(include_top=False, weights=weights, input_shape=(row.image_size, row.image_size, 3))
    except ValueError as error:
        raise BackboneError(f"image_size={row.image_size} does not suit {row.application}: {error}") from None


def _up_to_layer(base: keras.Model, row: BackboneRow) -> keras.Model:
    maps = {layer.name: layer.output for layer in base.layers if len(layer.output.shape) == 4}
    if row.layer is not None and row.layer not in maps:
        raise BackboneError(
            f"layer={row.layer!r} is not in {row.application}; its layers are {', '.join(maps)}"
        )
    output = maps[row.layer] if row.layer else base.output
    return keras.Model(base.input, output, name=row.application.lower())


def _preprocess(name: str) -> Any:
    """The function or layer from pixels to what the application takes."""
    if name == "rescale":
        return keras.layers.Rescaling(1 / 255)
    modules = {
        name: module
        for name, module in vars(keras.applications).items()
        if hasattr(module, "preprocess_input")
    }
    if name not in modules:
        raise BackboneError(
            f"preprocessing={name!r} is unknown; choose rescale or one of {', '.join(sorted(modules))}"
        )
    return modules[name].preprocess_input


def _draw_weights(base: keras.Model, features: keras.Model, seed: int) -> None:
    kernels, used = ([w for w in m.trainable_weights if len(w.shape) > 1] for m in (base, features))
    for i, kernel in enumerate(kernels):
        if any(kernel is other for other in used):  # the seeds count those that were cut off, too
            kernel.assign(keras.initializers.HeNormal(seed=seed * len(kernels) + i)(kernel.shape))


def _load_weights(base: keras.Model, row: BackboneRow, weights: str) -> None:
    if row.application in SCALED_FOR_IMAGENET:
        raise BackboneError(
            f"weights={weights}: Keras gives {row.application} one layer more for its ImageNet weights, and "
            f"a file does not tell; set weights to imagenet (the file may lie in {KERAS_MODELS} already)"
        )
    if not Path(weights).is_file():
        raise BackboneError(
            f"weights={weights} is no file; expected bundled, imagenet, random or the path of a weights file"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # of layers left as they were: refused below
            base.load_weights(weights)
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        raise BackboneError(
            f"weights={weights} do not fit {row.application} without its top: {_one_line(error)}; "
            f"give weights of {row.application}, or set `backbone` to theirs"
        ) from None


def _check_finite(features: keras.Model, weights: str) -> None:
    for tensor in features.weights:
        if n := int((~np.isfinite(tensor.numpy())).sum()):
            raise BackboneError(
                f"weights={weights}: {tensor.path} has {n:,} values that are NaN or infinite, expected "
                "finite numbers: get the file again, or give another one"
            )


def _fetch_imagenet(row: BackboneRow) -> None:
    # Keras downloads only while it builds a model: here, as Ctrl-C would not stop `build_isolated`.
    build, shape = getattr(keras.applications, row.application), (row.image_size, row.image_size, 3)
    try:
        build(include_top=False, weights=IMAGENET, input_shape=shape)
    except Exception as error:  # get_file wraps what urllib raises in a plain Exception
        raise BackboneError(
            f"weights=imagenet: could not get those of {row.application}: {_one_line(error)}. Keras keeps "
            f"downloads in {KERAS_MODELS}; delete a broken file there, or get the file (of the model without "
            "its top) on a machine that can, and put it there or give its path: -S weights=PATH"
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


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
