"""The log of a server's requests: what the model saw and said, never the image, in Parquet files of a folder.

Columns: ``time`` (UTC), a float32 column ``y_score.<label>`` a class, and, of a model with a backbone,
``feature`` (`FixedSizeBinary`, float16). The model's card stands in the schema metadata.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Lock, Thread
from time import time_ns
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graft.evaluation.predictions import SCORE

PREFIX = "requests-"  # of the files' names: no other file of the folder is touched
ROWS = 1024  # of a full file
SECONDS = 5.0  # until what was added is on the disk
BACKLOG = 4 * ROWS  # rows that may wait for the disk
SHARE = 8  # a file is full at this part of the log's bytes, so that dropping the oldest drops few rows
LEAST = 1_000_000  # bytes of a log
NOTHING, TIME = pa.table({}), pa.timestamp("us", "UTC")
LARGEST = float(np.finfo(np.float16).max)

logger = logging.getLogger(__name__)


class RequestLog:
    """A folder's log, which several threads and servers may add to.

    Rows wait in memory until a thread of the log writes them, so a slow disk delays no request. The file that
    grows is replaced as a whole: after a `kill -9` no more than the last `SECONDS` are missing, and what the
    folder has can be read. Where it cannot be written, rows are dropped and counted, and a warning says so.

    Args:
        folder: is made, and may have the log of earlier servers, which goes on.
        card: of the model, as `graft.models.card.read_card` returns it.
        max_bytes: of all files in the folder; the oldest go first.

    Attributes:
        dropped: the rows that could not be written.

    Raises:
        OSError: if the folder cannot be made.
        ValueError: if max_bytes is below `LEAST`.
    """

    def __init__(self, folder: Path, card: Mapping[str, Any], max_bytes: int) -> None:
        if max_bytes < LEAST:
            raise ValueError(f"expected room for at least {LEAST:,} bytes of log, received {max_bytes=:,}")
        folder.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._folder, self._max_bytes, self._card = folder, max_bytes, card
        self._added: list[pa.Table] = []
        self._growing, self._saved, self._name = NOTHING, 0, _new_name()  # only of the log's thread
        self._changing, self._wake, self._closed = Lock(), Event(), False
        self._warned = False
        self._thread = Thread(target=self._write_until_closed, name="request log", daemon=True)
        self._thread.start()

    def add(self, features: np.ndarray | None, scores: np.ndarray, times: np.ndarray) -> None:
        """Add requests; returns at once.

        Args:
            features: (n, d) float32, of the backbone, averaged over a map's places; None without one.
            scores: (n, n_classes) float32.
            times: (n,) seconds since the epoch.
        """
        rows = tabulate(features, scores, times, self._card)
        with self._changing:
            waiting = sum(map(len, self._added))
            if self._closed or waiting >= BACKLOG:
                self._drop(len(rows), "it is closed" if self._closed else "the disk is too slow")
                return
            self._added.append(rows)
        if waiting + len(rows) >= ROWS:
            self._wake.set()

    def close(self) -> None:
        """Write what is left and end; what is added later is dropped."""
        with self._changing:
            self._closed = True
        self._wake.set()
        self._thread.join()

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            self._wake.wait(SECONDS)
            self._wake.clear()
            with self._changing:
                closing, added, self._added = self._closed, self._added, []
            if added:
                self._growing = pa.concat_tables([each for each in (self._growing, *added) if len(each)])
            try:
                self._write()
            except (OSError, pa.ArrowException) as error:
                self._keep_or_drop(str(error), closing)

    def _write(self) -> None:
        """Write what is not on the disk yet: files that are full, and the one that grows."""
        limit = min(ROWS, max(1, self._max_bytes // SHARE // _bytes_per_row(self._growing)))
        while len(self._growing) > self._saved:
            content = _encode(self._growing[:limit])
            self._make_room(len(content))
            write_whole(content, self._folder / self._name)
            self._saved = min(limit, len(self._growing))
            if self._saved == limit:
                self._begin_file(self._growing[limit:])

    def _begin_file(self, rows: pa.Table) -> None:
        self._growing, self._saved, self._name = rows, 0, _new_name()

    def _make_room(self, size: int) -> None:
        """Delete the oldest files, so that another of `size` bytes keeps the log within its bytes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        sizes = {file: _size(file) for file in sorted(self._folder.glob(f"{PREFIX}*"))}
        total = sum(sizes.values()) + size
        for file, freed in sizes.items():
            if total > self._max_bytes and file.name != self._name:
                file.unlink(missing_ok=True)
                total -= freed

    def _keep_or_drop(self, reason: str, closing: bool) -> None:
        """Keep rows for the next attempt, up to a file of them, where the disk is full or the folder gone."""
        waiting = len(self._growing) - self._saved
        with self._changing:
            if waiting >= ROWS or closing:
                self._begin_file(NOTHING)
                self._drop(waiting, reason)

    def _drop(self, n: int, reason: str) -> None:
        self.dropped += n
        if not self._warned:
            self._warned = True
            logger.warning("the request log drops rows: %s; the server goes on", reason)


def tabulate(
    features: np.ndarray | None, scores: np.ndarray, times: np.ndarray, card: Mapping[str, Any]
) -> pa.Table:
    """Put requests into a table as the log has them; arguments as of `RequestLog.add`."""
    columns = {"time": pa.array((np.asarray(times) * 1e6).astype(np.int64), TIME)}
    for number, label in enumerate(card["classes"]):
        columns[SCORE + label] = pa.array(scores[:, number], pa.float32())
    if features is not None:
        raw = np.clip(features, -LARGEST, LARGEST).astype("<f2")
        buffers = [None, pa.py_buffer(raw.tobytes())]
        columns["feature"] = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(2 * raw.shape[1]), len(raw), buffers
        )
    return pa.table(columns).replace_schema_metadata({"card": json.dumps(card, sort_keys=True)})


def write_whole(content: bytes, path: Path) -> None:
    """Write a file under a temporary name, then rename it: it is there as a whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _encode(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return bytes(sink.getvalue())


def _bytes_per_row(table: pa.Table) -> int:
    return 1 + int(table.nbytes) // max(1, len(table))


def _new_name() -> str:
    """A name that no other server takes; they sort by age."""
    return f"{PREFIX}{time_ns():020d}-{uuid4().hex[:8]}.parquet"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # another server has just deleted it
        return 0
