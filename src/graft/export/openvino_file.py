"""OpenVINO: for Intel's processors. An ``.xml`` file, and its weights in a ``.bin`` file beside it."""

import json
import logging
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import openvino as ov

from graft.export.registry import Scored, Session
from graft.models.card import not_ours, parse_card

if TYPE_CHECKING:
    import keras

CARD = ["graft", "card"]  # the card's place in rt_info
# OpenVINO takes bfloat16 by default where the CPU has it, which moves scores by up to 0.25.
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def read_card(path: Path) -> dict[str, Any]:
    """Read the card as `graft.models.card.read_card` does, from the ``rt_info`` of the XML."""
    try:
        found = ElementTree.parse(path).find("/".join(["rt_info", *CARD]))
        text = found.attrib["value"]  # type: ignore[union-attr]
    except (ElementTree.ParseError, AttributeError, KeyError, ValueError):
        raise not_ours(path) from None
    return parse_card(text, path)


def open_session(path: Path, threads: int | None = None) -> Session:
    """Load the file to run it on the CPU in float32, as far as its weights are not int8."""
    limit = {"INFERENCE_NUM_THREADS": threads} if threads else {}
    try:
        compiled = ov.Core().compile_model(str(path), "CPU", EXACT | limit)
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be loaded by OpenVINO: {error}") from None

    def run(images: np.ndarray) -> Scored:
        outputs = compiled(images.astype(np.float32)).to_dict()
        named = {name: np.array(value) for output, value in outputs.items() for name in output.get_names()}
        return Scored(named["scores"], named.get("features"))

    return run


def write(
    model: "keras.Model", card: dict[str, Any], path: Path, precision: str, calibration: np.ndarray
) -> None:
    """Write the model; see `graft.export.registry.Format` for the arguments.

    float16 stores the weights in 16 bits and computes in float32; int8 has the ranges of the calibration
    images.
    """
    from graft.export.keras_file import portable
    from graft.export.saved_model import save

    with TemporaryDirectory() as folder:
        save(portable(model), Path(folder, "model"))
        converted = ov.convert_model(f"{folder}/model")
        if precision == "int8":
            converted = _quantise(converted, calibration)
    converted.set_rt_info(json.dumps(card), CARD)
    ov.save_model(converted, str(path), compress_to_fp16=precision == "float16")


def _quantise(model: ov.Model, calibration: np.ndarray) -> ov.Model:
    import nncf

    images = nncf.Dataset([image[np.newaxis].astype(np.float32) for image in calibration])
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(StringIO()):  # its bars
        return nncf.quantize(model, images, subset_size=len(calibration))
