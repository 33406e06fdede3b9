"""An HTTP server on the loopback that sends prepared responses."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from graft.data.download import Source

BODY = bytes(range(256)) * 400


Response = Callable[[BaseHTTPRequestHandler], None]


def published(url: str, body: bytes = BODY, algorithm: str = "sha256") -> Source:
    checksum = f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
    return Source(url, checksum, len(body), "CC0", "none", "none")


@contextmanager
def serve(*responses: Response) -> Iterator[tuple[str, list[str]]]:
    """Serve one response after the other, the last one repeatedly: the URL and the requests so far."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            responses[min(len(requests), len(responses)) - 1](self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/files/photos.zip", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(body: bytes = BODY, length: int | None = None, status: int = 200, pieces: int = 1) -> Response:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        for i in range(pieces):
            handler.wfile.write(body[i * len(body) // pieces : (i + 1) * len(body) // pieces])
            handler.wfile.flush()

    return respond
