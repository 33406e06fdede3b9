"""Images of many requests -> one call of the runtime, without waiting for more than are there."""

import asyncio
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, TypeVar

import numpy as np

from graft.export.registry import Scored, Session

T = TypeVar("T")
Answer = asyncio.Future[np.ndarray]


class Lanes(NamedTuple):
    """A runtime that several threads use side by side, in one thread each: no core waits for another.

    Attributes:
        session: takes calls from several threads at once.
        number: how many call it at most.
        max_batch: the most images that each scores at once; few, for a larger batch makes none faster there.
    """

    session: Session
    number: int
    max_batch: int = 4


class Batcher:
    """Scores images that wait, in whichever thread brings one while the runtime is free.

    A lone image is scored at once, by the thread that decoded it. Images that arrive while the runtime is
    busy are scored together as soon as it is free, in the order in which they came, by a thread that it was
    busy for. With `lanes`, so many threads do that side by side.

    Args:
        session: the runtime, which is never called by two threads at once.
        max_batch: the most images that are scored at once.
        on_batch: is called with each answer, after the images' requests have it.
        lanes: the runtime for several threads at once; None: it takes one call at a time.
    """

    def __init__(
        self,
        session: Session,
        max_batch: int,
        on_batch: Callable[[Scored], None],
        lanes: Lanes | None = None,
    ) -> None:
        self._session, self._on_batch = session, on_batch
        self._lanes = lanes or Lanes(session, 1, max_batch)
        self._waiting: deque[tuple[np.ndarray, Answer]] = deque()
        self._changing, self._running = Lock(), Lock()
        self._busy = 0

    def submit(self, pixels: np.ndarray, answer: Answer) -> None:
        """Score an image, in a thread other than the event loop's.

        Args:
            pixels: (size, size, channels) in [0, 255].
            answer: gets its scores (n_classes,); one that is done is not scored.
        """
        with self._changing:
            self._waiting.append((pixels, answer))
            if self._busy == self._lanes.number:
                return
            self._busy += 1
        while batch := self._next():
            self._score(*zip(*batch, strict=True))

    def run(self, work: Callable[[], T]) -> T:
        """Do something else with the runtime, between two batches."""
        with self._running:
            return work()

    def _next(self) -> list[tuple[np.ndarray, Answer]]:
        with self._changing:
            batch = list[tuple[np.ndarray, Answer]]()
            while self._waiting and len(batch) < self._lanes.max_batch:
                pixels, answer = self._waiting.popleft()
                if not answer.done():  # its client is still there
                    batch.append((pixels, answer))
            self._busy -= not batch
        return batch

    def _score(self, images: tuple[np.ndarray, ...], answers: tuple[Answer, ...]) -> None:
        try:
            scored = self._call(np.stack(images))
        except Exception as error:
            answers[0].get_loop().call_soon_threadsafe(fail, answers, error)
        else:
            answers[0].get_loop().call_soon_threadsafe(_succeed, answers, scored.scores)
            self._on_batch(scored)

    def _call(self, images: np.ndarray) -> Scored:
        if self._lanes.number > 1 and (self._busy > 1 or self._waiting):
            return self._lanes.session(images)
        return self.run(lambda: self._session(images))


def _succeed(answers: tuple[Answer, ...], scores: np.ndarray) -> None:
    for answer, row in zip(answers, scores, strict=True):
        if not answer.done():
            answer.set_result(row)


def fail(answers: tuple[Answer, ...], error: Exception) -> None:
    """Give an error as the answer, in the event loop, to who still waits."""
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
