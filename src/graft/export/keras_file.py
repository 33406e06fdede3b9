"""Keras's own file, and the model in the form that every other format is made of."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from graft.export.registry import Scored, Session
from graft.models.backend import compile_inference, limit_threads
from graft.models.card import read_card
from graft.models.serialization import MissingPackageError, load_model, save_model

__all__ = ["open_session", "portable", "read_card", "write"]


def portable(model: keras.Model) -> keras.Model:
    """Turn a deployable model into one with the outputs that every format has.

    Returns:
        Model from (n, size, size, channels) in [0, 255] to ``scores`` (n, n_classes), also where the model
        has one sigmoid unit, and, if it has a backbone, ``features`` (n, d), averaged over a map's places.
    """
    images = keras.Input(model.input_shape[1:], name="images")
    *backbone, head = model.layers[1:]
    features = backbone[0](images) if backbone else images
    scores = head(features)
    if scores.shape[-1] == 1:
        scores = keras.ops.concatenate([1 - scores, scores], axis=1)
    outputs = {"scores": keras.layers.Identity(name="scores")(scores)}
    if backbone:
        pool = keras.layers.GlobalAveragePooling2D if len(features.shape) == 4 else keras.layers.Identity
        outputs["features"] = pool(name="features")(features)
    return keras.Model(images, outputs, name="graft")


def open_session(path: Path, threads: int | None = None) -> Session:
    """Load a ``.keras`` file to run it; `threads` counts only before the backend has computed anything."""
    limit_threads(threads)
    try:
        model = portable(load_model(path))
    except MissingPackageError as error:
        raise MissingPackageError(f"{path}: {error}") from None
    except Exception as error:  # of Keras, of HDF5, of whatever a damaged file leads to
        raise ValueError(f"{path} cannot be loaded by Keras: {error}") from None
    forward = compile_inference(model)

    def run(images: np.ndarray) -> Scored:
        outputs = forward(images)
        return Scored(outputs["scores"], outputs.get("features"))

    return run


def write(
    model: keras.Model,
    card: dict[str, Any],
    path: Path,
    precision: str,  # noqa: ARG001
    calibration: np.ndarray,  # noqa: ARG001
) -> None:
    """Write the model as it is, with a card that may say more than that of ``model.keras``."""
    save_model(model, path, card)
