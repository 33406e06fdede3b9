"""What `graft serve` is measured against: `python serving_others.py unbatched|litserve MODEL.onnx PORT`.

Neither needs graft, for LitServe has an environment of its own. Both decode and answer as ours does.
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


def serve_litserve(path: str, port: int) -> None:
    """LitServe with batches of up to 16."""
    import litserve

    class Api(litserve.LitAPI):
        def setup(self, device: str) -> None:  # noqa: ARG002
            self.model = Model(path)

        def decode_request(self, request: UploadFile) -> np.ndarray:
            return self.model.decode(request.file.read())

        def batch(self, inputs: list) -> np.ndarray:
            return np.stack(inputs)

        def predict(self, images: np.ndarray) -> np.ndarray:
            return self.model.score(images)

        def unbatch(self, output: np.ndarray) -> list:
            return list(output)

        def encode_response(self, output: np.ndarray) -> dict:
            return self.model.answer(output)

    server = litserve.LitServer(Api(max_batch_size=16, batch_timeout=0.005), accelerator="cpu")
    server.run(port=port, generate_client_file=False, log_level="error")


if __name__ == "__main__":
    kind, model_file, number = sys.argv[1:]
    {"unbatched": serve_unbatched, "litserve": serve_litserve}[kind](model_file, int(number))
