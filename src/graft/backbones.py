"""A row of params.yaml -> a frozen keras.Model from raw pixels to features, preprocessing included."""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cpuinfo
import keras
import numpy as np
import tensorflow as tf

from graft.params import Backbone, Precision

RANDOM, IMAGENET = "random", "imagenet"
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, Arm


class BackboneError(ValueError):
    """A backbone that cannot be built as params.yaml says."""


def weights_name(weights: str) -> str:
    """What to call the weights in results: ``random``, ``imagenet`` or a file's name."""
    return weights if weights in (RANDOM, IMAGENET) else Path(weights).name


def backbone_facts(backbone: str, weights: str) -> dict[str, str | bool]:
    """What results say of the backbone they rest on."""
    return {"backbone": backbone, "weights": weights_name(weights), "pretrained": weights != RANDOM}


def build_backbone(row: Backbone, weights: str, seed: int, precision: Precision = "float32") -> keras.Model:
    """Build a frozen backbone.

    Args:
        row: application, preprocessing, layer, pooling, image size.
        weights: ``random`` (He-normal, He et al. 2015, arXiv 1502.01852; nothing is pre-trained),
            ``imagenet`` (Keras's file, downloaded once to Keras's own cache) or the path of a
            weights file for the application without its top.
        seed: of ``random``.
        precision: what the application's layers compute in; weights, preprocessing and pooling
            are float32 in either case. Warns where ``bfloat16`` has to be emulated.

    Returns:
        Model from float32 (n, size, size, 3) in [0, 255] to the features: (n, h, w, c), or (n, c)
        where ``row.pooling`` is not ``none``.

    Raises:
        BackboneError: if the application, preprocessing or layer does not exist, the images are
            too small, or the weights cannot be had or do not fit.
    """
    with _computing_in(precision):
        base = _application(row)
    _load_weights(base, row, weights, seed)
    layers = [layer.name for layer in base.layers]
    if row.layer not in layers:
        raise BackboneError(
            f"layer={row.layer!r} is not in {row.application}; its layers are {', '.join(layers)}"
        )
    features = keras.Model(base.input, base.get_layer(row.layer).output, name=row.application.lower())
    pixels = keras.Input((row.image_size, row.image_size, 3), name="pixels")
    output = features(_preprocess(row.preprocessing)(pixels))
    if row.pooling != "none":
        pool = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
        output = pool[row.pooling]()(output)
    backbone = keras.Model(pixels, output, name="backbone")
    backbone.trainable = False
    return backbone


@contextmanager
def _computing_in(precision: Precision) -> Iterator[None]:
    if precision == "bfloat16" and not has_bfloat16():
        warnings.warn(
            "precision=bfloat16: this machine has no bfloat16 instructions, so it will be slow; "
            "float32 is faster here",
            stacklevel=4,
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16() -> bool:
    """Whether this machine computes in bfloat16 natively: its CPU has the instructions, or there is a GPU."""
    flags = cpuinfo.get_cpu_info().get("flags", ())
    return bool(BFLOAT16_FLAGS.intersection(flags) or tf.config.list_physical_devices("GPU"))


def _application(row: Backbone) -> keras.Model:
    build = getattr(keras.applications, row.application, None)
    if not callable(build) or isinstance(build, ModuleType):
        legal = sorted(name for name in dir(keras.applications) if name[0].isupper())
        raise BackboneError(
            f"application={row.application!r} is not in keras.applications; choose one of {', '.join(legal)}"
        )
    try:
        return build(include_top=False, weights=None, input_shape=(row.image_size, row.image_size, 3))
    except ValueError as error:
        raise BackboneError(f"image_size={row.image_size} does not suit {row.application}: {error}") from None


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


def _load_weights(base: keras.Model, row: Backbone, weights: str, seed: int) -> None:
    if weights == RANDOM:
        print(f"backbone {row.application}: weights=random, nothing is pre-trained")
        kernels = [w for w in base.trainable_weights if len(w.shape) > 1]
        for i, kernel in enumerate(kernels):
            kernel.assign(keras.initializers.HeNormal(seed=seed * len(kernels) + i)(kernel.shape))
        return
    path = _fetch_imagenet(row) if weights == IMAGENET else Path(weights)
    if not path.is_file():
        raise BackboneError(
            f"weights={weights} is no file; expected random, imagenet or the path of a weights file"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # of layers left as they were: refused below
            base.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        reason = " ".join(str(error).split())[:300]
        raise BackboneError(
            f"weights={weights} do not fit {row.application} without its top: {reason}; "
            f"give weights of {row.application}, or set `backbone` to theirs"
        ) from None


def _fetch_imagenet(row: Backbone) -> Path:
    if row.url is None:
        raise BackboneError(
            f"weights=imagenet needs the `url` of the weights file in the row of {row.application}"
        )
    name = row.url.rsplit("/", 1)[-1]
    try:
        return Path(
            keras.utils.get_file(
                name, row.url, file_hash=row.md5, hash_algorithm="md5", cache_subdir="models"
            )
        )
    except Exception as error:  # get_file wraps whatever urllib raises in a plain Exception
        raise BackboneError(
            f"weights=imagenet: could not fetch {name} (md5 {row.md5 or 'not published'}) "
            f"from {row.url}: {error}. "
            f"Get that file on a machine that can, and give its path: -S weights=PATH/{name}"
        ) from None


def weights_sha256(model: keras.Model) -> str:
    """sha256 over the shapes and values of a model's weights, in order: what a fingerprint records."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(f"{weight.shape}".encode())
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


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
    signature = [tf.TensorSpec((length, *backbone.input_shape[1:]), tf.float32)]
    forward = tf.function(
        lambda pixels: tf.cast(backbone(pixels, training=False), tf.float32), input_signature=signature
    )

    def embed(images: np.ndarray) -> np.ndarray:
        chunks = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
        return np.concatenate([forward(_pad(chunk, length)).numpy()[: len(chunk)] for chunk in chunks])

    return embed


def _pad(images: np.ndarray, length: int) -> np.ndarray:
    missing = [(0, length - len(images))] + [(0, 0)] * (images.ndim - 1)
    return np.pad(images.astype(np.float32), missing)
