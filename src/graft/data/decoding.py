"""The images of `data/images`, which are known to decode: read, decode and resize those of some keys."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graft.config.types import ColorMode
from graft.data.images import CHANNELS, load
from graft.utils.progress import Bar


def iter_shards(folder: Path) -> Iterator[tuple[str, pa.Table]]:
    """Read `data/images`, one shard at a time, sorted by name.

    Yields:
        The shard's name and its table ``key, image`` (str, encoded bytes), sorted by key.

    Raises:
        FileNotFoundError: if the folder holds no shard.
    """
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise FileNotFoundError(f"no image shards (*.parquet) in {folder=!s}; run `dvc repro prepare` first")
    for path in paths:
        yield path.stem, pq.read_table(path, columns=["key", "image"], partitioning=None)


def decode_keys(images: Path, keys: Collection[str], size: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each of the keys that is in `data/images`, sorted, with its (size, size, 3) uint8 pixels."""
    for _, table in iter_shards(images):
        for key, data in zip(table["key"].to_pylist(), table["image"], strict=True):
            if key in keys:
                yield key, load(data.as_py(), size)


def load_pixels(
    folder: Path,
    keys: Sequence[str],
    size: int,
    out: np.ndarray | None = None,
    color_mode: ColorMode = "rgb",
) -> np.ndarray:
    """Decode and resize the images of some keys.

    Args:
        folder: `data/images`.
        keys: sha256 in hexadecimal; one may repeat.
        size: pixels, height = width.
        out: the array to fill; ``None``: a new one.
        color_mode: as in `load`.

    Returns:
        (len(keys), size, size, channels) uint8, in the order of the keys.

    Raises:
        FileNotFoundError: if the folder holds no shard.
        ValueError: if an image of a key is not in the folder.
    """
    places = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    pixels = np.empty((len(keys), size, size, CHANNELS[color_mode]), np.uint8) if out is None else out

    def fill(row: dict[str, Any]) -> None:
        pixels[places.pop(row["key"])] = load(row["image"], size, color_mode)

    with Bar("images") as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        bar.begin("decode", len(places))
        for _, table in iter_shards(folder):
            for _ in pool.map(fill, [row for row in table.to_pylist() if row["key"] in places]):
                bar.advance()
    if places:
        raise ValueError(
            f"{len(places)} of {len(keys)} images are not in folder={folder}, the first key={min(places)}; "
            "the manifest belongs to other images: run `dvc repro split`"
        )
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
