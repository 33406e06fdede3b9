"""TensorFlow's SavedModel: a folder, for TensorFlow Serving and whatever else of TensorFlow runs models."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graft.export.registry import Scored, Session
from graft.models.card import ENTRY, not_ours, parse_card

if TYPE_CHECKING:
    import keras

EXTRA = "assets.extra"  # where TensorFlow leaves what is not its own


def read_card(path: Path) -> dict[str, Any]:
    """Read the card, which is in ``assets.extra/``, as `graft.models.card.read_card` does."""
    try:
        content = (path / EXTRA / ENTRY).read_bytes()
    except FileNotFoundError:
        raise not_ours(path) from None
    return parse_card(content, path)


def open_session(path: Path, threads: int | None = None) -> Session:
    """Load the folder to run it; `threads` counts only before TensorFlow has computed anything."""
    import tensorflow as tf

    from graft.models.backend import limit_threads

    limit_threads(threads)
    try:
        loaded = tf.saved_model.load(str(path))
        forward = loaded.signatures["serving_default"]
    except Exception as error:  # TensorFlow's have no common class but this
        raise ValueError(f"{path} cannot be loaded by TensorFlow: {error}") from None

    def run(images: np.ndarray) -> Scored:
        outputs = forward(images=tf.constant(images, tf.float32))
        features = outputs["features"].numpy() if "features" in outputs else None
        return Scored(outputs["scores"].numpy(), features)

    run.__dict__["model"] = loaded  # its variables are gone when it is
    return run


def write(
    model: "keras.Model",
    card: dict[str, Any],
    path: Path,
    precision: str,  # noqa: ARG001
    calibration: np.ndarray,  # noqa: ARG001
) -> None:
    """Write the model; see `graft.export.registry.Format` for the arguments."""
    from graft.export.keras_file import portable

    save(portable(model), path)
    (path / EXTRA).mkdir()
    (path / EXTRA / ENTRY).write_text(json.dumps(card), encoding="utf-8")


def save(model: "keras.Model", path: Path, batch_size: int | None = None) -> None:
    """Write a SavedModel that holds each weight once; Keras's `export` writes each of them twice."""
    import tensorflow as tf

    signature = [tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.float32, name="images")]
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.serve = tf.function(lambda images: model(images, training=False), input_signature=signature)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
