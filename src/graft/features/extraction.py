"""The extraction: fill the store from HEAD and the backbone, then assemble the shards from it."""

import errno
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from secrets import randbits
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq
from filelock import FileLock

from graft.data.sharding import count_shards, shard_name
from graft.features.comparison import TOLERANCES
from graft.features.embedding import Embedding
from graft.features.filling import fill
from graft.features.format import Row, write_features
from graft.features.from_commits import Witness, copy_from_head
from graft.features.store import DamagedError, FeatureStore, room_for

ATTEMPTS = 5  # at reading a shard: another process may drop entries, too


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
    entries = open_store(store, embedding)
    not_stored = entries.missing(rows)
    missing = look_up(images, not_stored, embedding, entries, repo, output)
    started = perf_counter()
    if missing:
        fill(images, missing, embedding, entries, f"embed {output.name}")
    seconds = perf_counter() - started
    with FileLock(store / "assembly.lock"):  # for a second process with the same output
        again = _assemble(images, rows, embedding, entries, output)
    entries.refresh()
    copied, embedded = len(not_stored) - len(missing), len(missing) + again
    counts = {"from_store": max(0, len(rows) - copied - embedded), "from_head": copied, "embedded": embedded}
    return {**counts, "seconds_embedding": seconds}


def open_store(root: Path, embedding: Embedding) -> FeatureStore:
    """Open the store of an embedding's features, below the folder of all fingerprints."""
    return FeatureStore(root, embedding.fingerprint, embedding.model.output_shape[1:])


def look_up(
    images: Path,
    rows: Sequence[Row],
    embedding: Embedding,
    entries: FeatureStore,
    repo: Path | None,
    output: Path,
) -> list[Row]:
    """Copy rows that the store lacks from the features of HEAD; return those that are not there either.

    The arguments are those of `extract`, with the store opened.
    """
    if repo and rows:
        witness = Witness(
            partial(embedding.embed_rows, images), TOLERANCES[embedding.precision], randbits(32)
        )
        copy_from_head(repo, output.relative_to(repo), rows, entries, witness)
    return entries.missing(rows)


def describe_origin(counts: Mapping[str, float]) -> str:
    """Say how many rows came from where.

    >>> describe_origin({"from_store": 1000, "from_head": 0, "embedded": 10})
    '1,000 from the store, 0 from HEAD, 10 embedded'
    """
    stored, copied, embedded = (counts[name] for name in ("from_store", "from_head", "embedded"))
    return f"{stored:,} from the store, {copied:,} from HEAD, {embedded:,} embedded"


def _assemble(
    images: Path, rows: Sequence[Row], embedding: Embedding, entries: FeatureStore, output: Path
) -> int:
    """Write the shards; return how many rows were embedded again, as their entries were damaged."""
    n_shards = count_shards(sum(pq.read_metadata(file).num_rows for file in images.glob("*.parquet")))
    again = 0
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with room_for(output.parent):
            for name, group in groupby(rows, lambda row: shard_name(row[0], n_shards)):
                shard = list(group)
                features, n = get_or_embed(images, shard, embedding, entries)
                write_features(partial / f"{name}.parquet", shard, features, entries.fingerprint)
                again += n
        shutil.rmtree(output, ignore_errors=True)
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return again


def get_or_embed(
    images: Path, rows: Sequence[Row], embedding: Embedding, entries: FeatureStore
) -> tuple[np.ndarray, int]:
    """Read rows of the store, having embedded again, and counted, those of entries that are damaged.

    The arguments are those of `extract`, with the store opened.
    """
    again = 0
    for _ in range(ATTEMPTS):
        if missing := entries.missing(rows):  # a damaged entry may have had rows of several shards
            fill(images, missing, embedding, entries, "embed again")
            again += len(missing)
        with suppress(DamagedError):
            return entries.get(rows), again
    raise OSError(
        errno.EIO, f"features are damaged as soon as they are written: check the disk of {entries.root}"
    )
