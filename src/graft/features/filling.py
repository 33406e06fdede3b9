"""The work of the backbone: rows that are nowhere yet are decoded, embedded and put into the store."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from graft.data.decoding import decode_keys
from graft.features.embedding import Embedding
from graft.features.format import Row, to_float16
from graft.features.store import Sink
from graft.utils.ahead import map_ahead
from graft.utils.progress import track

T = TypeVar("T")
WRITERS = 2  # threads, each with a batch: one would not keep up with a GPU


def fill(images: Path, rows: Sequence[Row], embedding: Embedding, store: Sink, name: str) -> None:
    """Embed rows as `embed_batches` does, with a progress bar of this name."""
    for _ in track(embed_batches(images, rows, embedding, store), name, len(rows), count=int):
        pass


def embed_batches(images: Path, rows: Sequence[Row], embedding: Embedding, store: Sink) -> Iterator[int]:
    """Embed rows, batch by batch, into the store.

    Args:
        images: `data/images`.
        rows: the (key, view) wanted, sorted.
        embedding: from the images to their features.
        store: of the embedding's fingerprint.

    Yields:
        The number of rows of each batch that is in the store.

    Raises:
        ValueError: if a feature exceeds float16, or is not a number.
        OSError: if the disk is full.
    """
    size, n = embedding.row.image_size, embedding.row.batch_size
    decoded = _decode(images, rows, size)
    batches = iter(lambda: _collect(decoded, n, size), None)
    embedded = (
        (chosen, embedding.embed(embedding.augment(pixels, chosen))) for chosen, pixels in _one_ahead(batches)
    )

    def put(batch: tuple[list[Row], np.ndarray]) -> int:
        store.put(batch[0], to_float16(batch[1]))
        return len(batch[0])

    yield from map_ahead(put, embedded, WRITERS, lambda batch: batch[1].nbytes, WRITERS)


def _one_ahead(batches: Iterator[T]) -> Iterator[T]:
    """Yield batches of which the next is always prepared in a thread."""
    with ThreadPoolExecutor(1) as worker:
        upcoming = worker.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = worker.submit(next, batches, None)
            yield batch


def _collect(
    decoded: Iterator[tuple[Row, np.ndarray]], n: int, size: int
) -> tuple[list[Row], np.ndarray] | None:
    """Take up to `n` rows with a copy of their pixels; None if there are no more."""
    rows, pixels = [], np.empty((n, size, size, 3), np.uint8)
    for place, (row, image) in zip(pixels, islice(decoded, n), strict=False):
        place[...] = image
        rows.append(row)
    return (rows, pixels[: len(rows)]) if rows else None


def _decode(images: Path, rows: Sequence[Row], size: int) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield each row with its pixels; rows are sorted by key, as shards and their images are."""
    views = {key: [view for _, view in group] for key, group in groupby(rows, lambda row: row[0])}
    for key, pixels in decode_keys(images, views, size):
        yield from (((key, view), pixels) for view in views[key])
