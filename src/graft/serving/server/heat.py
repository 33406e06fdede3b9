"""Heat maps of a Keras model, for a server."""

from pathlib import Path

import numpy as np

from graft.explain.gradcam import gradcam
from graft.models.serialization import load_model
from graft.serving.server.service import Explain


def open_explainer(path: Path) -> Explain | None:
    """Load a ``.keras`` file to explain it by Grad-CAM; None if that needs what it has not."""
    model = load_model(path)

    def explain(pixels: np.ndarray, number: int) -> np.ndarray:
        return gradcam(model, pixels[None].astype(np.float32), [number])[0].heat

    try:
        explain(np.zeros(model.input_shape[1:]), 0)
    except ValueError:
        return None
    return explain
