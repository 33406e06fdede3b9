"""The side of a worker: it builds the backbone itself, and embeds parts if it is the same as the driver's."""

import hashlib
import os
import pickle
import platform
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import graft
from graft.data.sharding import count_shards, shard_name
from graft.features.format import Row
from graft.features.store import StoreWriter

if TYPE_CHECKING:  # a worker's threads are counted before Keras is imported
    from graft.features.embedding import Embedding

THREADS = "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
LIBRARIES = "numpy", "pillow", "pyarrow"  # which the fingerprint does not name
_one_at_a_time = Lock()

Batch = tuple[Sequence[Row], np.ndarray]


class WorkerError(ValueError):
    """A worker that cannot do what the driver asks it to."""


@dataclass(frozen=True)
class Job:
    """The facts that all parts share.

    Attributes:
        recipe: the pickled arguments of `graft.features.views.build_embeddings`.
        views: augmented views are to be embedded, not the plain images.
        identity: of the driver's embedding, as `identify` gives it.
        images: the driver's `data/images`, which the worker may see or not.
        listing: of its shards, as `list_shards` gives it.
        store: the driver's folder of all fingerprints.
        probe: a file in it that tells who shares it.
    """

    recipe: bytes
    views: bool
    identity: Mapping[str, Any]
    images: Path
    listing: str
    store: Path
    probe: Path


class Kept(list[Batch]):
    """Batches for a driver whose store this worker does not see."""

    def put(self, rows: Sequence[Row], features: np.ndarray) -> None:
        """Keep the (len(rows), ...) float16 features of (key, view) rows."""
        self.append((rows, features))


def identify(embedding: "Embedding") -> dict[str, Any]:
    """Describe what decides about the bytes of an entry: fingerprint, graft's code, libraries."""
    versions = {name: version(name) for name in LIBRARIES}
    return {
        **embedding.fingerprint,
        **versions,
        "python": platform.python_version(),
        "code of graft": _code(),
    }


def list_shards(images: Path) -> str:
    """Digest the names and sizes of the shards of `data/images`."""
    sizes = sorted((file.name, file.stat().st_size) for file in images.glob("*.parquet"))
    return hashlib.sha256(repr(sizes).encode()).hexdigest()


def read_part(images: Path, keys: Collection[str], listing: str) -> pa.Table:
    """Read the encoded images of some keys, ``key, image``, from the shards of `data/images` that have them.

    Raises:
        ValueError: if an image is not there.
    """
    wanted = pc.field("key").isin(pa.array(sorted(keys)))
    shards = sorted({shard_name(key, _count_shards(images, listing)) for key in keys})
    files = [file for shard in shards if (file := images / f"{shard}.parquet").is_file()]
    tables = [pq.read_table(file, columns=["key", "image"], filters=wanted) for file in files]
    if (found := sum(map(len, tables))) < len(keys):
        raise ValueError(
            f"{len(keys) - found} of {len(keys)} images are not in {images}: run `dvc repro split`"
        )
    return pa.concat_tables(tables)


def embed_part(job: Job, rows: Sequence[Row], images: pa.Table | None) -> list[Batch] | None:
    """Embed the (key, view) rows of a part into the driver's store, or for it.

    Args:
        job: the facts that all parts share.
        rows: sorted.
        images: theirs, as `read_part` gives them; None: the worker is to read them.

    Returns:
        The batches that the driver has to put into its store: none if this worker sees it. None: it does not
        see `data/images`, so that nothing could be embedded without `images`.

    Raises:
        WorkerError: if this worker would not embed as the driver does, or has no room for the features.
    """
    from dask.distributed import get_worker

    worker = get_worker()
    with _one_at_a_time, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            return _embed_part(job, rows, images, worker.state.nthreads)
        except (ValueError, OSError) as error:
            raise WorkerError(f"the worker at {worker.address}: {error}") from None


def _embed_part(job: Job, rows: Sequence[Row], images: pa.Table | None, threads: int) -> list[Batch] | None:
    embedding = _build(job.recipe, threads)[job.views]
    _compare(job.identity, identify(embedding))
    if images is None:
        if _list_shards(job.images, job.probe) != job.listing:
            return None
        images = read_part(job.images, {key for key, _ in rows}, job.listing)
    batches = Kept()
    store = StoreWriter(job.store, embedding.fingerprint) if job.probe.is_file() else batches
    with TemporaryDirectory(prefix="graft-part-") as folder:
        pq.write_table(images, Path(folder, "0.parquet"))
        _load_fill()(Path(folder), rows, embedding, store, "part")
    return [*batches]


def _load_fill() -> Callable[..., None]:
    from graft.features.filling import fill

    return fill


@lru_cache(maxsize=1)
def _build(recipe: bytes, threads: int) -> "tuple[Embedding, Embedding]":
    if "keras" not in sys.modules:  # a process that has computed something keeps its threads
        os.environ.update(dict.fromkeys(THREADS, str(threads)))
    from graft.features.views import build_embeddings

    return build_embeddings(*pickle.loads(recipe))


@lru_cache(maxsize=1)
def _code() -> str:
    files = sorted(Path(graft.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


@lru_cache(maxsize=2)
def _list_shards(images: Path, probe: Path) -> str:  # noqa: ARG001
    """List them once for each job."""
    return list_shards(images)


@lru_cache(maxsize=2)
def _count_shards(images: Path, listing: str) -> int:  # noqa: ARG001
    return count_shards(sum(pq.read_metadata(file).num_rows for file in images.glob("*.parquet")))


def _compare(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    names = sorted(expected.keys() | found.keys())
    differing = [
        f"{name}={found.get(name)!r}, expected {expected.get(name)!r}"
        for name in names
        if found.get(name) != expected.get(name)
    ]
    if differing:
        raise WorkerError(
            f"it would not embed as this machine does, so it is refused: {'; '.join(differing)}; "
            "give it the same environment, code and weights, or leave it out"
        )
