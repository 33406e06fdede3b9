"""LiteRT, formerly TensorFlow Lite: for phones and small computers. One image at a time."""

import json
import warnings
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from graft.export.registry import Scored, Session, not_ours
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
