"""OpenVINO: for Intel's processors. An ``.xml`` file, and its weights in a ``.bin`` file beside it."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import openvino as ov

from graft.export.registry import Scored, Session, not_ours

if TYPE_CHECKING:
    import keras

CARD = ["graft", "card"]  # the card's place in rt_info
# OpenVINO takes bfloat16 by default where the CPU has it, which moves scores by up to 0.25.
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def read_card(path: Path) -> dict[str, Any]:
    """Read the card as `graft.models.card.read_card` does, from the ``rt_info`` of the XML."""
    try:
        found = ElementTree.parse(path).find("/".join(["rt_info", *CARD]))
        card: dict[str, Any] = json.loads(found.attrib["value"])  # type: ignore[union-attr]
    except (ElementTree.ParseError, AttributeError, KeyError, ValueError):
        raise not_ours(path) from None
    return card


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
