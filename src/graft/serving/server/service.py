"""A model at work for many requests: decoding, batches, answers, heat maps, the log."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from graft.data.images import ImageError, decode
from graft.explain.overlay import draw_heat
from graft.export.registry import Scored
from graft.serving.classifier import BATCH_SIZE, Classifier
from graft.serving.server.batching import Answer, Batcher, Lanes, fail
from graft.serving.server.limits import Limits, RefusedError, Room
from graft.serving.server.metrics import Metrics
from graft.training.decision import decide

T = TypeVar("T")
HEAT_SIDE = 320  # pixels of the longer side of a heat map
# From (size, size, channels) pixels in [0, 255] and a class's number to (h, w) heat in [0, 1].
Explain = Callable[[np.ndarray, int], np.ndarray]


class Log(Protocol):
    """Keeps what was scored, such as `graft.serving.request_log.RequestLog`; neither waits nor raises.

    Attributes:
        dropped: how many rows could not be kept.
    """

    dropped: int

    def add(self, features: np.ndarray | None, scores: np.ndarray, times: np.ndarray) -> None:
        """Add a row for each image; times are seconds since the epoch."""

    def close(self) -> None:
        """Write what was not yet written."""


@dataclass(frozen=True)
class Loaded:
    """A model, ready to be served.

    Attributes:
        classifier: of any runtime.
        runtime: its name.
        explain: makes heat maps; None where the runtime cannot.
        log: keeps what is scored; None: nothing is kept.
        lanes: the runtime for many clients; None: it takes one call at a time.
    """

    classifier: Classifier
    runtime: str
    explain: Explain | None = None
    log: Log | None = None
    lanes: Lanes | None = None


class Service:
    """The state that the routes of a server share: limits, threads, metrics and the model."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.queue = Room(limits.queue)
        self.memory = Room(limits.bodies * limits.max_bytes)
        self.metrics = Metrics(lambda: self.queue.used, self._count_dropped)
        # One thread more than cores, for one of them also scores.
        self.threads = ThreadPoolExecutor((os.cpu_count() or 1) + 1, thread_name_prefix="graft")
        self.loaded: Loaded | None = None
        self.batcher: Batcher | None = None

    async def start(self, load: Callable[[], Loaded]) -> None:
        """Load the model and warm it up, off the event loop."""
        loaded = await asyncio.to_thread(load)
        self.batcher = Batcher(loaded.classifier.score, BATCH_SIZE, self._record, loaded.lanes)
        card = loaded.classifier.card
        shape = (card["image_size"], card["image_size"], card["channels"])
        sessions = [loaded.classifier.score, *([loaded.lanes.session] if loaded.lanes else [])]
        for n in (1, loaded.lanes.max_batch if loaded.lanes else BATCH_SIZE):
            for score in sessions:
                await self.in_thread(score, np.zeros((n, *shape), np.uint8))
        self.loaded = loaded

    def close(self) -> None:
        """Finish what runs and write the log's last rows."""
        self.threads.shutdown(cancel_futures=True)
        if self.loaded and self.loaded.log:
            self.loaded.log.close()

    @property
    def ready(self) -> Loaded:
        """The model.

        Raises:
            RefusedError: 503, as long as it is not warm.
        """
        if self.loaded is None:
            raise RefusedError(503, "not_ready", "the model is still being loaded: try again in a second")
        return self.loaded

    async def in_thread(self, work: Callable[..., T], *args: Any) -> T:
        """Do something that may take a while in one of the threads for it."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *args)

    async def predict(self, files: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """Predict the classes of encoded images.

        Returns:
            A row a file in their order: ``name``, ``label``, ``score``, ``scores`` (class -> probability), or
            ``name``, ``error``, ``status``.

        Raises:
            RefusedError: if the queue has no room for all; or, of an only file, why that is refused.
        """
        with self.queue.taken() as take:
            take(len(files))
            if len(files) == 1:
                return [await self._predict_one(*files[0])]
            rows = await asyncio.gather(*(self._predict_one(*file) for file in files), return_exceptions=True)
        return [self._row_of(name, row) for (name, _), row in zip(files, rows, strict=True)]

    async def explain(self, data: bytes, label: str | None) -> bytes:
        """Draw where the model looks for a class, or for that which it predicts.

        Returns:
            A PNG.

        Raises:
            RefusedError: 404 where the runtime cannot, 422 without such a class, and as `predict` does.
        """
        explain, classes = self.ready.explain, self.ready.classifier.classes
        if explain is None or self.batcher is None:
            raise RefusedError(
                404, "no_heat_map", "heat maps need `--runtime keras` and a convolutional model"
            )
        if label is not None and label not in classes:
            raise RefusedError(422, "no_class", f"expected a label of {', '.join(classes[:20])}")
        with self.queue.taken() as take:
            take(1)
            pixels = await self.in_thread(self._decode, data)
            number = classes.index(label) if label else int(decide((await self._score(data))[None])[0])
            heat = await self.in_thread(self.batcher.run, lambda: explain(pixels, number))
            return await self.in_thread(_draw, data, heat, self.ready.classifier.bit_depth)

    async def _predict_one(self, name: str, data: bytes) -> dict[str, Any]:
        scores = await self._score(data)
        classes, best = self.ready.classifier.classes, int(decide(scores[None])[0])
        self.metrics.predicted.labels(classes[best]).inc()
        rounded = [round(float(score), 6) for score in scores]
        return {
            "name": name,
            "label": classes[best],
            "score": rounded[best],
            "scores": dict(zip(classes, rounded, strict=True)),
        }

    def _score(self, data: bytes) -> Answer:
        """Decode an image and score it: (n_classes,), or a `RefusedError`."""
        answer = asyncio.get_running_loop().create_future()
        self.threads.submit(self._decode_and_score, data, answer)
        return answer

    def _decode_and_score(self, data: bytes, answer: Answer) -> None:
        if answer.done() or self.batcher is None:
            return
        try:
            self.batcher.submit(self._decode(data), answer)
        except Exception as error:
            answer.get_loop().call_soon_threadsafe(fail, (answer,), error)

    def _decode(self, data: bytes) -> np.ndarray:
        try:
            return self.ready.classifier.decode(data, self.limits.max_pixels)
        except ImageError as error:
            too_large = "max_pixels" in str(error)
            raise RefusedError(
                413 if too_large else 422, "too_many_pixels" if too_large else "not_an_image", str(error)
            ) from None
        except MemoryError:
            raise RefusedError(503, "busy", "the server is out of memory: try again in a second") from None

    def _row_of(self, name: str, row: "dict[str, Any] | BaseException") -> dict[str, Any]:
        if isinstance(row, RefusedError):
            self.metrics.rejected.labels(row.reason).inc()
            return {"name": name, "error": row.detail, "status": row.status}
        if isinstance(row, BaseException):
            raise row
        return row

    def _count_dropped(self) -> int:
        return self.loaded.log.dropped if self.loaded and self.loaded.log else 0

    def _record(self, scored: Scored) -> None:
        """Count a batch, and log it; in the runtime's thread."""
        self.metrics.batches.observe(len(scored.scores))
        log = self.loaded.log if self.loaded else None
        if log:
            log.add(scored.features, scored.scores, np.full(len(scored.scores), time.time()))


async def answered(work: Awaitable[T], receive: Callable[[], Awaitable[Any]], timeout: float) -> T:
    """Wait for an answer as long as its client does, and no longer than `timeout` seconds.

    Raises:
        RefusedError: 503 on time-out; 400 if the client went away, which nobody reads.
    """
    mine, gone = asyncio.current_task(), asyncio.ensure_future(receive())

    def stop(gone: "asyncio.Future[Any]") -> None:
        if mine and not gone.cancelled():
            mine.cancel("gone")

    gone.add_done_callback(stop)
    try:
        async with asyncio.timeout(timeout):
            return await work
    except TimeoutError:
        raise RefusedError(503, "timeout", f"no answer within {timeout:g} s: try again later") from None
    except asyncio.CancelledError:
        if gone.done() and mine and not mine.uncancel():
            raise RefusedError(400, "gone", "the client went away") from None
        raise
    finally:
        gone.remove_done_callback(stop)
        gone.cancel()


def _draw(data: bytes, heat: np.ndarray, bit_depth: int) -> bytes:
    return draw_heat(decode(data, bit_depth=bit_depth), heat, HEAT_SIDE)
