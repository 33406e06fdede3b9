"""The limits of a server, the refusal of a request, and room that is taken and given back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The bounds of what one client, and all together, may ask for.

    Attributes:
        max_bytes: of a request's body.
        max_pixels: of an image, height x width, by its header.
        max_files: images of a request.
        queue: images that wait or are worked on, of all requests.
        timeout: seconds for a body to arrive, and again for its answer.
        bodies: how many bodies of `max_bytes` are in memory at once.
        connections: that are open at once.
        head_seconds: for a request's line and headers to arrive, and until an idle connection is closed.
        max_head: bytes of a request's line and headers.
    """

    max_bytes: int = 20 * MIB
    max_pixels: int = 50_000_000
    max_files: int = 64
    queue: int = 256
    timeout: float = 30
    bodies: int = 8
    connections: int = 500
    head_seconds: float = 10
    max_head: int = 16 << 10


class RefusedError(Exception):
    """A request, or an image of one, that is not answered.

    Attributes:
        status: of HTTP.
        reason: a word for the metrics.
        detail: a sentence for the client.
    """

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail


class Room:
    """Room for a number of things, taken by requests and given back.

    >>> room = Room(3)
    >>> with room.taken() as take:
    ...     take(2)
    ...     room.used
    2
    >>> room.used
    0
    """

    def __init__(self, size: int) -> None:
        self.size, self.used = size, 0

    @contextmanager
    def taken(self) -> "Iterator[_Taken]":
        """Give back at the end what was taken through the function that this gives.

        Raises:
            RefusedError: 503 from that function, if there is no room.
        """
        taken = _Taken(self)
        try:
            yield taken
        finally:
            self.used -= taken.total


class _Taken:
    def __init__(self, room: Room) -> None:
        self.room, self.total = room, 0

    def __call__(self, number: int) -> None:
        if self.room.used + number > self.room.size:
            raise RefusedError(503, "busy", "the server is busy: try again in a second")
        self.room.used += number
        self.total += number
