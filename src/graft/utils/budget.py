"""A number of things that all threads together may use at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


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
