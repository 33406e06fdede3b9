"""A server on loopback, in a thread, with a small model of colours; and clients that type HTTP by hand."""

import base64
import json
import socket
import threading
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace

import httpx
import numpy as np
from PIL import Image

from graft.export.registry import Scored
from graft.serving.classifier import Classifier

CARD = {"method": "colour", "classes": ["red", "green", "blue"], "image_size": 16, "channels": 3}


def score_colours(pixels):
    """Score (n, 16, 16, 3) pixels by their mean colour: a model whose answers are plain."""
    means = pixels.astype(np.float32).mean((1, 2)) / 64
    powers = np.exp(means - means.max(1, keepdims=True))
    return Scored(powers / powers.sum(1, keepdims=True), means)


class Gate:
    """A runtime that is busy until it is opened, and keeps the size of each batch."""

    def __init__(self):
        self.entered, self.opened, self.batches = threading.Event(), threading.Event(), []
        self.opened.set()

    def __call__(self, pixels):
        self.batches.append(len(pixels))
        self.entered.set()
        assert self.opened.wait(30)
        return score_colours(pixels)

    def shut(self):
        """Hold the next batch."""
        self.batches.clear()
        self.entered.clear()
        self.opened.clear()


def encode(colour, size=(20, 30), kind="PNG"):
    """An encoded image of one colour."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


RED, GREEN, BLUE = (encode(colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


@contextmanager
def serving(session=score_colours, load=None, explain=None, log=None, api_key=None, cors=(), **limits):
    """Serve the model of colours: its URL, port, an HTTP client, and the server.

    Args:
        session: scores pixels.
        load: loads the model, in place of that session.
        explain, log, api_key, cors, limits: as `graft.serving.server` has them.
    """
    from graft.serving.server.app import Settings
    from graft.serving.server.limits import Limits
    from graft.serving.server.run import Server, listen
    from graft.serving.server.service import Loaded

    loaded = Loaded(Classifier(CARD, session), "numpy", explain, log)
    server = Server(load or (lambda: loaded), Settings(Limits(**limits), api_key, tuple(cors)))
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        url = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(base_url=url, timeout=60) as client:
                while load is None and client.get("/readyz").status_code != 200:
                    pass
                yield SimpleNamespace(url=url, port=port, client=client, server=server, thread=thread)
        finally:
            server.should_exit = True
            thread.join()


def form(*images, name="files"):
    """The files of a form, as httpx takes them."""
    return [(name, (f"{number}.png", image, "image/png")) for number, image in enumerate(images)]


def as_json(*images):
    """The body of JSON."""
    return {"images": [base64.b64encode(image).decode() for image in images]}


def talk(port, *pieces):
    """Send bytes, and return all that is sent back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return hear(connection)


def hear(connection):
    """All that a server sends until it closes."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


def head(path="/v1/predict", method="POST", **headers):
    """The head of a request."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": "a", **headers}.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def status_of(heard):
    """The status and the sentence of an answer."""
    start, _, body = heard.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(body)["detail"]
