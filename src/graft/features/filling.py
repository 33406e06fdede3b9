"""The work of the backbone: rows that are nowhere yet are decoded, embedded and put into the store."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from graft.data.decoding import decode_keys
from graft.features.embedding import Embedding
from graft.features.format import Row, to_float16
from graft.features.store import Sink
from graft.utils.progress import track


def fill(images: Path, rows: Sequence[Row], embedding: Embedding, store: Sink, name: str) -> None:
    """Embed rows, batch by batch, into the store.

    Args:
        images: `data/images`.
        rows: the (key, view) wanted, sorted.
        embedding: from the images to their features.
        store: of the embedding's fingerprint.
        name: of the work, for the progress bar.

    Raises:
        ValueError: if a feature exceeds float16, or is not a number.
        OSError: if the disk is full.
    """
    decoded = _decode(images, rows, embedding.row.image_size)
    batches = iter(lambda: list(islice(decoded, embedding.row.batch_size)), [])
    for batch in track(_one_ahead(batches), name, len(rows), count=len):
        chosen, pixels = zip(*batch, strict=True)
        store.put(chosen, to_float16(embedding.embed(embedding.augment(np.stack(pixels), chosen))))


def _one_ahead(batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """Yield batches of which the next is always prepared in a thread."""
    with ThreadPoolExecutor(1) as worker:
        upcoming = worker.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = worker.submit(next, batches, None)
            yield batch


def _decode(images: Path, rows: Sequence[Row], size: int) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield each row with its pixels; rows are sorted by key, as shards and their images are."""
    views = {key: [view for _, view in group] for key, group in groupby(rows, lambda row: row[0])}
    for key, pixels in decode_keys(images, views, size):
        yield from (((key, view), pixels) for view in views[key])
