"""LiteRT, formerly TensorFlow Lite: for phones and small computers. One image at a time."""

import json
import warnings
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from graft.export.registry import Scored, Session
from graft.models.card import ENTRY
from graft.models.card import read_card as read_card_of_zip

if TYPE_CHECKING:
    import keras

LABELS = "labels.txt"


def read_card(path: Path) -> dict[str, Any]:
    """Read the card as `graft.models.card.read_card` does, from the zip behind the model."""
    return read_card_of_zip(path)


def open_session(path: Path, threads: int | None = None) -> Session:
    """Load the file to run it on the CPU, with XNNPACK."""
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path} cannot be loaded by LiteRT: {error}") from None

    def run(images: np.ndarray) -> Scored:
        outputs = [runner(images=image[np.newaxis]) for image in images.astype(np.float32)]
        joined = {name: np.concatenate([each[name] for each in outputs]) for name in outputs[0]}
        return Scored(joined["scores"], joined.get("features"))

    return run


def write(
    model: "keras.Model", card: dict[str, Any], path: Path, precision: str, calibration: np.ndarray
) -> None:
    """Write the model; see `graft.export.registry.Format` for the arguments.

    Images go in as float32 in every precision. float16 stores the weights in 16 bits and computes in
    float32; int8 computes in 8 bits, with the ranges of the calibration images, wherever LiteRT can.
    """
    import tensorflow as tf

    from graft.export.keras_file import portable
    from graft.export.saved_model import save

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tf.lite's interpreter, which the converter calibrates with
        save(portable(model), Path(folder, "model"), batch_size=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(f"{folder}/model")
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            images = [{"images": image[np.newaxis].astype(np.float32)} for image in calibration]
            converter.representative_dataset = lambda: iter(images)
        path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:  # behind the model, where TensorFlow Lite's metadata is
        archive.writestr(zipfile.ZipInfo(ENTRY), json.dumps(card))
        archive.writestr(zipfile.ZipInfo(LABELS), "\n".join(card["classes"]) + "\n")
