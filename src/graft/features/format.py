"""The format of features: Parquet rows ``key, view, feature`` that say what they are.

``feature`` is `FixedSizeBinary`: float16, channels first, since a channel's zeros then lie side by
side and compress. Shape, dtype, layout and fingerprint stand in the schema metadata as JSON.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.data.sharding import write_table
from graft.utils.memory import allocate

FORMAT = 2  # of what a fingerprint names: 2 draws each operation of a view from a stream of its own
ROW_GROUP_SIZE = 64
HELP = '"When features are wrong" in docs/features.md'
UNREADABLE = (pa.ArrowException, ValueError, LookupError, TypeError, OSError)  # what a damaged file raises
Row = tuple[str, int]


def plain_rows(manifest: pd.DataFrame) -> list[Row]:
    """List the (key, 0) of every image, sorted: the rows of `data/features`."""
    return [(key, 0) for key in sorted(manifest["key"])]


def view_rows(manifest: pd.DataFrame, views: int) -> list[Row]:
    """List the (key, view) of every training image and each view from 1 to `views`: those of `data/views`."""
    train = sorted(manifest.loc[manifest["split"] == "train", "key"])
    return [(key, view) for key in train for view in range(1, views + 1)]


def write_features(
    path: Path, rows: Sequence[Row], features: np.ndarray, fingerprint: dict[str, Any]
) -> None:
    """Write one shard.

    Args:
        path: the file.
        rows: (key, view) of each row.
        features: (n, h, w, c) or (n, c), float16.
        fingerprint: everything that determined the values besides the image.
    """
    rolled = np.moveaxis(features, -1, 1) if features.ndim == 4 else features
    raw = np.ascontiguousarray(rolled, dtype="<f2")
    schema = _schema(features.shape[1:], fingerprint)
    column = pa.FixedSizeBinaryArray.from_buffers(schema.types[2], len(rows), [None, pa.py_buffer(raw)])
    keys, views = zip(*rows, strict=True)
    write_table(pa.table([keys, views, column], schema), path, ROW_GROUP_SIZE)


def _schema(shape: Sequence[int], fingerprint: dict[str, Any]) -> pa.Schema:
    """The columns and the metadata of a shard, of the shape of a feature (h, w, c) or (c,)."""
    facts = {"shape": [*shape[-1:], *shape[:-1]], "dtype": "float16", "layout": "channels_first"}
    metadata = {**facts, "fingerprint": fingerprint}
    encoded = {name: json.dumps(value, sort_keys=True) for name, value in metadata.items()}
    types = {"key": pa.string(), "view": pa.int16(), "feature": pa.binary(2 * prod(shape))}
    return pa.schema(types, encoded)


def to_float16(features: np.ndarray) -> np.ndarray:
    """Round features to what the cache holds.

    Raises:
        ValueError: if a value is not finite or exceeds float16 (65,504).

    >>> to_float16(np.array([0.1, 2.0], np.float32))
    array([0.1, 2. ], dtype=float16)
    """
    with np.errstate(over="ignore"):
        rounded = features.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ValueError(
            f"a feature does not fit float16: expected at most 65504, received {np.abs(features).max():g}; "
            "random weights grow with the backbone's depth: use pre-trained weights or an earlier layer"
        )
    return rounded


def count_not_finite(features: np.ndarray) -> int:
    """Count the rows that hold NaN or an infinite value.

    >>> count_not_finite(np.array([[1, 2], [3, np.nan]], np.float16))
    1
    """
    return int((~np.isfinite(features)).reshape(len(features), -1).any(1).sum())


def read_rows(path: Path | BinaryIO) -> list[Row]:
    """Read the (key, view) of each row, and no feature."""
    with pq.ParquetFile(path) as file:
        return _rows(file.read(["key", "view"], use_threads=False))


def read_metadata(path: Path | BinaryIO) -> dict[str, Any]:
    """Read shape (channels first), dtype, layout and fingerprint of a shard."""
    metadata = pq.read_schema(path).metadata
    return {name: json.loads(metadata[name.encode()]) for name in ("shape", "dtype", "layout", "fingerprint")}


def describe_engine(fingerprint: Mapping[str, Any]) -> str:
    """Say what computed features, and how precisely.

    >>> describe_engine({"precision": "int8", "engine": "openvino"})
    'int8 by openvino'
    """
    engine = fingerprint.get("engine")
    return f"{fingerprint['precision']} by {engine}" if engine else str(fingerprint["precision"])


def engine_facts(folder: Path) -> dict[str, str]:
    """The fact of a method whose features, in a folder of shards, are not Keras's in float32; else none."""
    engine = describe_engine(read_metadata(shard_files(folder)[0])["fingerprint"])
    return {} if engine == "float32" else {"features": engine}


def read_features(path: Path | BinaryIO) -> tuple[list[Row], np.ndarray]:
    """Read the rows of a shard, and their features as (n, h, w, c) or (n, c) float16."""
    return _parse(pq.read_table(path))


def read_checked(
    path: Path | BinaryIO, shape: Sequence[int], fingerprint: dict[str, Any]
) -> tuple[list[Row], np.ndarray]:
    """Read a shard as `read_features` does, of which nothing is believed.

    Raises:
        ValueError: if it is no shard of features with that shape, (h, w, c) or (c,), and fingerprint, all of
            them finite numbers.
    """
    try:
        table, expected = pq.read_table(path), _schema(shape, fingerprint)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MemoryError):
            raise
        raise ValueError(f"not a Parquet file of features ({error})") from None
    if not table.schema.equals(expected, check_metadata=True):
        found = (table.schema.metadata or {}).get(b"shape", b"none").decode(errors="replace")
        raise ValueError(
            f"another format: expected shape={json.loads(expected.metadata[b'shape'])}, float16, in columns "
            f"{expected.names}, received shape={found} in {table.schema.names}"
        )
    if any(column.null_count for column in table.columns):
        raise ValueError("a key, a view or a feature is missing: expected no null")
    rows, features = _parse(table)
    if n := count_not_finite(features):
        raise ValueError(f"{n:,} of {len(rows):,} features hold NaN or an infinite value")
    return rows, features


def shard_files(folder: Path) -> list[Path]:
    """List the shards of a folder in order; raises a FileNotFoundError if there is none."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"no features in {folder}: expected *.parquet; run `dvc repro`")
    return files


def load_features(
    folders: Sequence[Path], rows: Iterable[Row], memory_limit: float, scratch: Path
) -> np.ndarray:
    """Decode features into one array, in the order of `rows`.

    Args:
        folders: of shards, such as `data/features` and `data/views`.
        rows: the (key, view) wanted.
        memory_limit: GB; a larger array is memory-mapped.
        scratch: the ``.npy`` file to map, overwritten; it can always be rebuilt.

    Returns:
        (n, h, w, c) or (n, c) float16.

    Raises:
        KeyError: if a row is in no shard.
        ValueError: if a feature is not finite.
    """
    files = [file for folder in folders for file in shard_files(folder)]
    position = {row: i for i, row in enumerate(rows)}
    shape = tuple(read_metadata(files[0])["shape"])
    full = (len(position), *shape[1:], shape[0]) if len(shape) == 3 else (len(position), *shape)
    array = allocate(full, np.float16, memory_limit, scratch)
    missing = set(position)
    for file, found, features in chain.from_iterable(map(_row_groups, files)):
        if n := count_not_finite(features):
            raise ValueError(
                f"{file}: {n:,} of {len(found)} features hold NaN or infinity, expected finite numbers; "
                f"what to do: {HELP}"
            )
        chosen = [(i, position[row]) for i, row in enumerate(found) if row in position]
        if chosen:
            source, target = map(list, zip(*chosen, strict=True))
            array[target] = features[source]
        missing.difference_update(found)
    if missing:
        places = " or ".join(map(str, folders))
        raise KeyError(
            f"{len(missing)} rows are not in {places}, such as key, view = {min(missing)}: run `dvc repro`"
        )
    return array


def _row_groups(path: Path) -> Iterator[tuple[Path, list[Row], np.ndarray]]:
    """A shard piece by piece: many views make it large."""
    with pq.ParquetFile(path) as file:
        for i in range(file.num_row_groups):
            yield path, *_parse(file.read_row_group(i))


def _parse(table: pa.Table) -> tuple[list[Row], np.ndarray]:
    shape = json.loads(table.schema.metadata[b"shape"])
    column = table["feature"].combine_chunks()
    start = column.offset * column.type.byte_width
    raw = np.frombuffer(column.buffers()[1], "<f2", len(column) * prod(shape), start).reshape(-1, *shape)
    return _rows(table), np.moveaxis(raw, 1, -1) if len(shape) == 3 else raw


def _rows(table: pa.Table) -> list[Row]:
    return list(zip(table["key"].to_pylist(), table["view"].to_pylist(), strict=True))
