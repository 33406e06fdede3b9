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
IN_FLOAT = ("standardise", "unit_normalization")  # layers of `graft.models.heads`


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
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
        path.write_bytes(
            _quantise(f"{folder}/model", content, calibration) if precision == "int8" else content
        )
    with zipfile.ZipFile(path, "a") as archive:  # behind the model, where TensorFlow Lite's metadata is
        archive.writestr(zipfile.ZipInfo(ENTRY), json.dumps(card))
        lines = [" ".join(name.splitlines()) for name in card["classes"]]
        archive.writestr(zipfile.ZipInfo(LABELS), "\n".join(lines) + "\n")


def _quantise(saved_model: str, in_float: bytes, calibration: np.ndarray) -> bytes:
    """Convert to int8, but for the pooling and normalisation that begin a head.

    A dimension that hardly varies has the most weight after standardisation; 8 bits would not see it vary.
    """
    import tensorflow as tf

    images = [{"images": image[np.newaxis].astype(np.float32)} for image in calibration]
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(images)
    names = [each["name"] for each in Interpreter(model_content=in_float).get_tensor_details()]
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=["MEAN"],
        denylisted_nodes=[name for name in names if any(layer in name for layer in IN_FLOAT)],
    )
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=lambda: iter(images), debug_options=options
    )
    content: bytes = debugger.get_nondebug_quantized_model()
    return content
