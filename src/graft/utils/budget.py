"""A number of things that all threads, or all processes, together may use at once."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from threading import Condition, Lock

TOKENS = 1024  # less than a page of memory: to give them back never has to wait


class Budget:
    """Room for many small things side by side, or for one large one, first come first served.

    >>> pixels = Budget()
    >>> with pixels.taken(60, 100), pixels.taken(40, 100):
    ...     pixels.used
    100
    """

    def __init__(self) -> None:
        self.used = 0
        self._first, self._changed = Lock(), Condition()

    @contextmanager
    def taken(self, number: int, limit: int) -> Iterator[None]:
        """Wait until `number` more stay within `limit`, or nothing else is used; give them back."""
        with self._first, self._changed:  # who waits for much is not overtaken
            self._changed.wait_for(lambda: not self.used or self.used + number <= limit)
            self.used += number
        try:
            yield
        finally:
            with self._changed:
                self.used -= number
                self._changed.notify_all()


class SharedBudget:
    """A `Budget` of several processes: tokens in a pipe, as in GNU make's job server.

    A process that is killed keeps its tokens: the others must end, too.

    >>> pixels = SharedBudget()
    >>> with pixels.taken(60, 100), pixels.taken(39, 100):
    ...     pass

    Attributes:
        pipes: file descriptors to read and to write, first of whose turn it is, then of the tokens.
    """

    def __init__(self, pipes: Sequence[int] = ()) -> None:
        """Make one, or take part in one whose pipes this process was given."""
        self.pipes = list(pipes)
        if not pipes:
            for tokens in (1, TOKENS):
                self.pipes += os.pipe()
                os.write(self.pipes[-1], bytes(tokens))

    @contextmanager
    def taken(self, number: int, limit: int) -> Iterator[None]:
        """Do as `Budget.taken` does, with `number` rounded up to a share of `limit`."""
        turn, next_turn, tokens, back = self.pipes
        wanted = min(TOKENS, ceil(number * TOKENS / limit))
        os.read(turn, 1)  # who waits for much is not overtaken
        missing = wanted
        while missing:
            missing -= len(os.read(tokens, missing))
        os.write(next_turn, bytes(1))
        try:
            yield
        finally:
            os.write(back, bytes(wanted))

    def close(self) -> None:
        """Close the pipes of this process."""
        for pipe in self.pipes:
            os.close(pipe)
