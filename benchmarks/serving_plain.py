"""An unbatched FastAPI handler, against which `graft serve` is measured: `... MODEL.onnx PORT`.

Needs none of graft, for LitServe, which shares `Model`, has an environment of its own.
"""

import json
import sys
from io import BytesIO

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, UploadFile
from PIL import Image


class Model:
    """The ONNX file in ONNX Runtime, with the options that graft's own session has."""

    def __init__(self, path: str) -> None:
        options = ort.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.classes = json.loads(self.session.get_modelmeta().custom_metadata_map["graft.json"])["classes"]
        self.size = self.session.get_inputs()[0].shape[1]

    def decode(self, data: bytes) -> np.ndarray:
        image = Image.open(BytesIO(data)).convert("RGB").resize((self.size, self.size), Image.BILINEAR)
        return np.asarray(image, np.float32)

    def score(self, images: np.ndarray) -> np.ndarray:
        return self.session.run(["scores"], {"images": images})[0]

    def answer(self, scores: np.ndarray) -> dict:
        named = dict(zip(self.classes, map(float, scores), strict=True))
        return {"label": self.classes[int(scores.argmax())], "scores": named}


def serve_unbatched(path: str, port: int) -> None:
    """The handler that everybody writes first."""
    import uvicorn

    model, app = Model(path), FastAPI()

    @app.post("/predict")
    def predict(files: UploadFile) -> dict:
        return model.answer(model.score(model.decode(files.file.read())[None])[0])

    uvicorn.run(app, port=port, log_level="error")


if __name__ == "__main__":
    serve_unbatched(sys.argv[1], int(sys.argv[2]))
