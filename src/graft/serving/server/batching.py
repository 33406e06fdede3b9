"""Images of many requests -> one call of the runtime, without waiting for more than are there."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from graft.export.registry import Scored, Session

T = TypeVar("T")


class Batcher:
    """Scores images in a thread of its own, those that wait together.

    A lone image is scored at once. Images that arrive while the runtime is busy wait until it is free, and
    are then scored together, in the order in which they came.

    Args:
        session: the runtime, which is never called by two threads.
        max_batch: the most images that are scored at once.
        on_batch: is called in that thread with each answer, after the images' requests have it.
    """

    def __init__(self, session: Session, max_batch: int, on_batch: Callable[[Scored], None]) -> None:
        self._session, self._max_batch, self._on_batch = session, max_batch, on_batch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graft-runtime")
        self._waiting: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
        self._busy = False

    def submit(self, pixels: np.ndarray) -> "asyncio.Future[np.ndarray]":
        """Score an image.

        Args:
            pixels: (size, size, channels) in [0, 255].

        Returns:
            A future of its scores (n_classes,); cancelling it takes the image off the queue.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, future))
        if not self._busy:
            self._score_waiting()
        return future

    async def run(self, work: Callable[[], T]) -> T:
        """Do something else in the runtime's thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Finish what runs."""
        self._thread.shutdown()

    def _score_waiting(self) -> None:
        batch = list[tuple[np.ndarray, asyncio.Future[np.ndarray]]]()
        while self._waiting and len(batch) < self._max_batch:
            pixels, future = self._waiting.popleft()
            if not future.done():  # its client is still there
                batch.append((pixels, future))
        self._busy = bool(batch)
        if batch:
            loop = asyncio.get_running_loop()
            self._thread.submit(self._score, loop, [pixels for pixels, _ in batch], [f for _, f in batch])

    def _score(
        self,
        loop: asyncio.AbstractEventLoop,
        images: list[np.ndarray],
        futures: "list[asyncio.Future[np.ndarray]]",
    ) -> None:
        try:
            scored = self._session(np.stack(images))
        except Exception as error:
            loop.call_soon_threadsafe(self._answer, futures, error)
        else:
            loop.call_soon_threadsafe(self._answer, futures, scored.scores)
            self._on_batch(scored)

    def _answer(self, futures: "list[asyncio.Future[np.ndarray]]", answer: "np.ndarray | Exception") -> None:
        for number, future in enumerate(futures):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer[number])
        self._score_waiting()
