"""keras.applications: the convolutional networks that Keras has ImageNet weights of."""

import warnings
from pathlib import Path
from types import ModuleType

import keras

from graft.config.features import BUNDLED, IMAGENET, RANDOM, BackboneRow, Precision
from graft.models.bundled import load_bundled
from graft.models.dtype_policy import computing_in
from graft.models.isolation import build_isolated
from graft.models.libraries.common import BackboneError, one_line, up_to_layer

KERAS_MODELS = "~/.keras/models"
# Keras scales their input once more where weights="imagenet": keras/src/applications/efficientnet.py
SCALED_FOR_IMAGENET = tuple(f"EfficientNetB{i}" for i in range(8))


def outline(row: BackboneRow, weights: str) -> keras.Model:  # noqa: ARG001
    """The application up to the layer, without values; see `graft.models.backbones.outline`."""

    def build() -> keras.Model:
        with keras.StatelessScope(initialize_variables=False):
            return _application(row, "float32", None)

    return _up_to_layer(build_isolated(build), row)


def build(row: BackboneRow, weights: str, seed: int, precision: Precision) -> keras.Model:
    """The application up to the layer; see `graft.models.backbones.Backbone.build`."""
    if weights == IMAGENET:
        outline(row, weights)  # whose errors come before any download
        _fetch_imagenet(row)
    base = build_isolated(lambda: _application(row, precision, IMAGENET if weights == IMAGENET else None))
    features = _up_to_layer(base, row)
    if weights == RANDOM:
        _draw_weights(base, features, seed)
    elif weights == BUNDLED:
        load_bundled(base)
    elif weights != IMAGENET:
        _load_weights(base, row, weights)
    return features


def _up_to_layer(base: keras.Model, row: BackboneRow) -> keras.Model:
    return up_to_layer(base, row, row.application.lower(), dimensions=(4,))


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
            f"weights={weights} do not fit {row.application} without its top: {one_line(error)}; "
            f"give weights of {row.application}, or set `backbone` to theirs"
        ) from None


def _fetch_imagenet(row: BackboneRow) -> None:
    # Keras downloads only while it builds a model: here, as Ctrl-C would not stop `build_isolated`.
    build, shape = getattr(keras.applications, row.application), (row.image_size, row.image_size, 3)
    try:
        build(include_top=False, weights=IMAGENET, input_shape=shape)
    except Exception as error:  # get_file wraps what urllib raises in a plain Exception
        raise BackboneError(
            f"weights=imagenet: could not get those of {row.application}: {one_line(error)}. Keras keeps "
            f"downloads in {KERAS_MODELS}; delete a broken file there, or get the file (of the model without "
            "its top) on a machine that can, and put it there or give its path: -S weights=PATH"
        ) from None
