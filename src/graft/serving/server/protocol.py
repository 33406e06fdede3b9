"""HTTP/1.1 connections that cannot be held open: uvicorn's, with deadlines and a bound on their number."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from graft.serving.server.limits import Limits


def bounded(limits: Limits) -> type[asyncio.Protocol]:
    """Make the protocol of a server with these limits.

    uvicorn waits for ever for a connection's first byte, for the rest of a request's headers, and for a
    client to read its answer. It has no option for these; so this rests on names of `H11Protocol` that are
    not public, which a test lists, and `pyproject.toml` bounds uvicorn's version.
    """

    class BoundedProtocol(H11Protocol):
        """Closes a connection that sends no whole head in time, or does not read its answer."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.deadline: asyncio.TimerHandle | None = None
            self.unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.wait_for_head()
            if len(self.connections) > limits.connections:
                transport.write(_response(503, "too many connections: try again in a second"))
                transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self.deadline, self.unread):
                if timer:
                    timer.cancel()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self.deadline and self.cycle and not self.cycle.response_complete:
                self.deadline.cancel()
                self.deadline = None

        def on_response_complete(self) -> None:
            self.wait_for_head()
            super().on_response_complete()

        def wait_for_head(self) -> None:
            if self.deadline:
                self.deadline.cancel()
            self.deadline = self.loop.call_later(limits.head_seconds, self.head_is_late)

        def head_is_late(self) -> None:
            began = self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]
            if began and not self.transport.is_closing():
                self.transport.write(_response(408, f"expected the headers within {limits.head_seconds:g} s"))
            self.transport.close()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.unread = self.loop.call_later(limits.timeout, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.unread:
                self.unread.cancel()

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self.transport.write(_response(400, msg))
            self.transport.close()

    return BoundedProtocol


def _response(status: int, detail: str) -> bytes:
    """A whole answer, for where there is no request that the application could answer."""
    body = json.dumps({"detail": detail}).encode()
    retry = "Retry-After: 1\r\n" * (status == 503)
    head = (
        f"HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{retry}Connection: close\r\n\r\n"
    )
    return head.encode() + body
