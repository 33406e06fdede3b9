"""LitServe with batches of up to 16, against which `graft serve` is measured: `... MODEL.onnx PORT`."""

import sys

import litserve
import numpy as np
from fastapi import UploadFile

from serving_plain import Model


class Api(litserve.LitAPI):
    """Decodes in the server's process, and scores in another."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        self.model = Model(sys.argv[1])

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


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=16, batch_timeout=0.005), accelerator="cpu")
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="error")
