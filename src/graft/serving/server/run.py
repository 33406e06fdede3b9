"""A server from its start to its end: the socket, signals, exit."""

import os
import signal
import socket
from collections.abc import Callable

import uvicorn

from graft.serving.server.app import Settings, build_app
from graft.serving.server.protocol import bounded
from graft.serving.server.service import Loaded

BACKLOG = 1024


class Server(uvicorn.Server):
    """A server of one model.

    Args:
        load: loads the model, while the server already listens.
        settings: how the server is to behave.

    Attributes:
        failure: why the model could not be loaded, which ends the server; or None.
    """

    def __init__(self, load: Callable[[], Loaded], settings: Settings) -> None:
        self.failure: Exception | None = None
        limits = settings.limits
        config = uvicorn.Config(
            build_app(load, settings, self.fail),
            http=bounded(limits),
            ws="none",
            loop="asyncio",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=round(2 * limits.timeout) + 1,
            h11_max_incomplete_event_size=limits.max_head,
        )
        super().__init__(config)

    def fail(self, error: Exception) -> None:
        """End, for the model could not be loaded."""
        self.failure, self.should_exit = error, True


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of a server; port 0 takes a free one.

    Raises:
        OSError: if the address is taken, or not of this machine.
        ValueError: if there is no host; a socket would take that for all addresses.
    """
    if not host:
        raise ValueError("expected a host to listen on, received host=''")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise OSError(f"{host} port {port}: {reason}; another --host or --port may do") from None
    # Its connections inherit it, for which asyncio does not care: or an answer in two pieces takes 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def run(server: Server, listening: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what runs.

    Raises:
        Exception: why the model could not be loaded.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again at the end: no fault
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listening])
    if server.failure:
        raise server.failure
