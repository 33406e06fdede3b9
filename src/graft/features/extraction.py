"""The extraction: fill the store from HEAD and the backbone, then assemble the shards from it."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby, islice
from pathlib import Path
from secrets import randbits
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
from filelock import FileLock

from graft.config.features import RANDOM, BackboneRow, Precision, weights_name
from graft.config.types import Seed, Text
from graft.data.images import iter_shards, load, load_pixels
from graft.data.sharding import count_shards, shard_name
from graft.features.comparison import TOLERANCES
from graft.features.format import FORMAT, Row, to_float16, write_features
from graft.features.from_commits import Witness, copy_from_head
from graft.features.store import FeatureStore, room_for
from graft.models.backbones import make_embedder
from graft.models.serialization import weights_sha256
from graft.utils.progress import track

PARAMS = {
    "seed": Seed,
    "backbone": Text,
    "backbones.${backbone}": BackboneRow,
    "weights": Text,
    "features.precision": Precision,
}


@dataclass(frozen=True)
class Embedding:
    """A backbone and all else that determines a feature besides the image.

    Attributes:
        model: from float32 pixels in [0, 255] to features.
        row: the backbone's row of params.yaml.
        weights: ``random``, ``bundled``, ``imagenet`` or a path, of which the name is kept.
        precision: what the model computes in.
    """

    model: keras.Model
    row: BackboneRow
    weights: str
    precision: Precision

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All of it by name."""
        return {
            "format": FORMAT,
            **self.row.model_dump(),
            "weights": weights_name(self.weights),
            "pretrained": self.weights != RANDOM,
            "weights_sha256": weights_sha256(self.model),
            "resampling": "Pillow bilinear, antialiased",
            "precision": self.precision,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        }

    @cached_property
    def embed(self) -> Callable[[np.ndarray], np.ndarray]:
        """From (n, size, size, 3) pixels, augmented where they are to be, to (n, ...) float32 features."""
        return make_embedder(self.model, self.row.batch_size)

    def augment(self, pixels: np.ndarray, rows: Sequence[Row]) -> np.ndarray:  # noqa: ARG002
        """Turn the decoded images of (key, view) rows into what the model takes."""
        return pixels

    def embed_rows(self, images: Path, rows: Sequence[Row]) -> np.ndarray:
        """Embed the (key, view) rows of images in `data/images`; returns (n, ...) float32 features."""
        pixels = load_pixels(images, [key for key, _ in rows], self.row.image_size)
        return self.embed(self.augment(pixels, rows))


def extract(
    images: Path, rows: Sequence[Row], embedding: Embedding, store: Path, repo: Path | None, output: Path
) -> dict[str, float]:
    """Embed each row once: it comes from the store, else from the features of HEAD, else from the backbone.

    Some rows of HEAD's are embedded again, chosen at random; the bytes of the output depend on that only if
    they are wrong.

    Args:
        images: `data/images`.
        rows: the (key, view) wanted, sorted.
        embedding: from the images to their features.
        store: root of the content-addressed store, read and added to.
        repo: Git and DVC repository whose HEAD may have features, in `output`; None: there is none.
        output: folder of the shards, replaced; a pure function of images, rows and embedding.

    Returns:
        ``from_store``, ``from_head`` and ``embedded``: how many rows came from where;
        ``seconds_embedding``: how long the backbone took.

    Raises:
        ValueError: if a feature exceeds float16, or is not a number.
        OSError: if the disk is full.
    """
    entries = FeatureStore(store, embedding.fingerprint, embedding.model.output_shape[1:])
    not_stored = entries.missing(rows)
    if repo and not_stored:
        tolerance = TOLERANCES[embedding.precision]
        witness = Witness(partial(embedding.embed_rows, images), tolerance, randbits(32))
        copy_from_head(repo, output.relative_to(repo), not_stored, entries, witness)
    missing = entries.missing(not_stored)
    started = perf_counter()
    if missing:
        _embed(images, missing, f"embed {output.name}", embedding, entries)
    seconds = perf_counter() - started
    with FileLock(store / "assembly.lock"):  # for a second process with the same output
        _assemble(images, rows, entries, output)
    stored, copied, embedded = len(rows) - len(not_stored), len(not_stored) - len(missing), len(missing)
    counts = {"from_store": stored, "from_head": copied, "embedded": embedded}
    return {**counts, "seconds_embedding": seconds}


def describe_origin(counts: Mapping[str, float]) -> str:
    """Say how many rows came from where.

    >>> describe_origin({"from_store": 1000, "from_head": 0, "embedded": 10})
    '1,000 from the store, 0 from HEAD, 10 embedded'
    """
    stored, copied, embedded = (counts[name] for name in ("from_store", "from_head", "embedded"))
    return f"{stored:,} from the store, {copied:,} from HEAD, {embedded:,} embedded"


def _embed(
    images: Path, rows: Sequence[Row], description: str, embedding: Embedding, store: FeatureStore
) -> None:
    decoded = _decode(images, rows, embedding.row.image_size)
    batches = iter(lambda: list(islice(decoded, embedding.row.batch_size)), [])
    for batch in track(_one_ahead(batches), description, len(rows), count=len):
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
    for _, table in iter_shards(images):
        for key, data in zip(table["key"].to_pylist(), table["image"], strict=True):
            if key in views:
                pixels = load(data.as_py(), size)
                yield from (((key, view), pixels) for view in views[key])


def _assemble(images: Path, rows: Sequence[Row], store: FeatureStore, output: Path) -> None:
    n_shards = count_shards(sum(pq.read_metadata(file).num_rows for file in images.glob("*.parquet")))
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with room_for(output.parent):
            for name, group in groupby(rows, lambda row: shard_name(row[0], n_shards)):
                shard = list(group)
                write_features(partial / f"{name}.parquet", shard, store.get(shard), store.fingerprint)
        shutil.rmtree(output, ignore_errors=True)
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
