"""The images of `data/images`, which are known to decode: read, decode and resize those of some keys."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from math import ceil, prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graft.config.types import ColorMode
from graft.data.images import CHANNELS, load
from graft.data.workers import count_processes, open_workers
from graft.utils.progress import track

PIECE_BYTES = 2**23  # of the pixels that a worker decodes at once
SHARES, FEW = 8, 8  # or so many pieces for each worker, that all end together; but no fewer images than these


class Piece(NamedTuple):
    """Some images of a row group, and what their pixels are to be."""

    path: Path
    group: int
    n_bytes: int  # of their files
    keys: Sequence[str]
    shape: tuple[int, int, int]
    color_mode: ColorMode


def list_shards(folder: Path) -> list[Path]:
    """List the shards of `data/images`, sorted by name, as the keys in them are.

    Raises:
        FileNotFoundError: if the folder holds no shard.
    """
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise FileNotFoundError(f"no image shards (*.parquet) in {folder=!s}; run `dvc repro prepare` first")
    return paths


def decode_keys(
    folder: Path,
    keys: Collection[str],
    size: int,
    color_mode: ColorMode = "rgb",
    n_processes: int | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Decode and resize images of `data/images` on all cores, ahead of who takes them.

    Args:
        folder: `data/images`.
        keys: sha256 in hexadecimal.
        size: pixels, height = width.
        color_mode: as in `load`.
        n_processes: that decode; 0: threads do; None: as their number and the machine's cores suggest.

    Yields:
        Each key, sorted, with (size, size, channels) uint8 pixels that stay until the next is asked for.

    Raises:
        FileNotFoundError: if the folder holds no shard.
        ValueError: if an image of a key is not in the folder.
        ChildProcessError: if a process is killed.
    """
    shape, missing = (size, size, CHANNELS[color_mode]), set(keys)
    n_processes = count_processes(len(missing)) if n_processes is None else n_processes
    share = len(missing) // (SHARES * (n_processes or os.cpu_count() or 1))
    most = max(1, min(PIECE_BYTES // prod(shape), max(share, FEW)))
    pieces = (
        Piece(path, group, n_bytes * len(some), some, shape, color_mode)
        for path, group, n_bytes, found in _find(list_shards(folder), missing)
        for some in _split(found, most)
    )
    with open_workers(n_processes, most * prod(shape)) as workers, ExitStack() as stack:
        stack.callback(_read_group.cache_clear)  # the files may be others next time
        for piece, room, _ in workers.map(_decode, pieces, lambda piece: piece.n_bytes):
            yield from zip(piece.keys, _as_pixels(room, piece), strict=True)
            missing.difference_update(piece.keys)
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(keys)} images are not in folder={folder}, the first key={min(missing)}; "
            "the manifest belongs to other images: run `dvc repro split`"
        )


def _find(shards: Iterable[Path], keys: Collection[str]) -> Iterator[tuple[Path, int, int, list[str]]]:
    """Yield each row group with some of the keys: shard, number, bytes an image, and which it has, sorted."""
    for path in shards:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                found = file.read_row_group(group, ["key"], use_threads=False)["key"].to_pylist()
                if wanted := [key for key in found if key in keys]:
                    n_bytes = file.metadata.row_group(group).total_byte_size // len(found)
                    yield path, group, n_bytes, wanted


def _split(keys: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Split keys evenly into as few parts as can be of at most so many."""
    length = ceil(len(keys) / ceil(len(keys) / most))
    return (keys[i : i + length] for i in range(0, len(keys), length))


def _decode(room: np.ndarray, piece: Piece) -> None:
    """Decode the images of a piece into a worker's room."""
    images = _read_group(piece.path, piece.group)
    for key, pixels in zip(piece.keys, _as_pixels(room, piece), strict=True):
        pixels[...] = load(images[key].as_py(), piece.shape[0], piece.color_mode)


@lru_cache(1)  # for the pieces of a group, which follow each other
def _read_group(path: Path, group: int) -> dict[str, pa.Scalar]:
    with pq.ParquetFile(path, memory_map=True) as file:
        table = file.read_row_group(group, ["key", "image"], use_threads=False)
    return dict(zip(table["key"].to_pylist(), table["image"], strict=True))


def _as_pixels(room: np.ndarray, piece: Piece) -> np.ndarray:
    n = len(piece.keys)
    return room[: n * prod(piece.shape)].reshape(n, *piece.shape)


def load_pixels(
    folder: Path,
    keys: Sequence[str],
    size: int,
    out: np.ndarray | None = None,
    color_mode: ColorMode = "rgb",
) -> np.ndarray:
    """Decode and resize the images of some keys.

    Args:
        folder, size, color_mode: as of `decode_keys`.
        keys: sha256 in hexadecimal; one may repeat.
        out: the array to fill; ``None``: a new one.

    Returns:
        (len(keys), size, size, channels) uint8, in the order of the keys.

    Raises what `decode_keys` raises.
    """
    places = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    pixels = np.empty((len(keys), size, size, CHANNELS[color_mode]), np.uint8) if out is None else out
    for key, image in track(decode_keys(folder, places, size, color_mode), "decode", len(places)):
        pixels[places[key]] = image
    return pixels


def read_images(folder: Path, keys: Sequence[str]) -> dict[str, bytes]:
    """Read the encoded images of some keys from `data/images`.

    Raises:
        ValueError: if an image of a key is not in the folder.
    """
    wanted = pc.field("key").isin(pa.array(keys, pa.string()))
    table = pq.read_table(folder, columns=["key", "image"], filters=wanted, partitioning=None)
    images = dict(zip(table["key"].to_pylist(), table["image"].to_pylist(), strict=True))
    missing = sorted(set(keys) - set(images))
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(keys)} images are not in folder={folder}, the first key={missing[0]}; "
            "the predictions are of other images: run `dvc repro`"
        )
    return images
