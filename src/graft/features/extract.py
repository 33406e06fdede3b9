"""The extraction: embed what the store does not hold, then assemble the shards from the store."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tensorflow as tf

from graft.augment import augment
from graft.backbones import RANDOM, make_embedder, weights_name, weights_sha256
from graft.features.shards import Row, write_features
from graft.features.store import FeatureStore
from graft.images import iter_shards, load
from graft.params import Augmentation, Backbone
from graft.progress import track
from graft.shards import count_shards, shard_name

Batch = tuple[list[Row], np.ndarray]


def make_fingerprint(
    backbone: keras.Model, row: Backbone, weights: str, augmentation: Augmentation | None
) -> dict[str, Any]:
    """Everything that determines a feature's value besides the image and the view.

    Args:
        backbone: the model that embeds.
        row: its row of params.yaml.
        weights: ``random``, ``imagenet`` or a path, of which the name is kept.
        augmentation: of the views; None for plain images, whose features do not depend on it.
    """
    return {
        **row.model_dump(exclude={"url", "md5"}),
        "weights": weights_name(weights),
        "pretrained": weights != RANDOM,
        "weights_sha256": weights_sha256(backbone),
        "resampling": "Pillow bilinear, antialiased",
        "augmentation": augmentation and augmentation.model_dump(),
        "precision": "float32",
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


def extract_features(
    images: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    plain: dict[str, Any],
    augmented: dict[str, Any],
    views: int,
    store: Path,
    output: Path,
) -> dict[str, float]:
    """Embed each image of a manifest once, and its augmented views where it is for training.

    Args:
        images: `data/images`.
        manifest: its keys are embedded plain (view 0); those of train also as views 1..`views`.
        backbone: from float32 pixels in [0, 255] to features.
        plain: fingerprint of the plain features.
        augmented: fingerprint of the views, which the output carries.
        views: how many augmented views a training image gets.
        store: root of the content-addressed store, read and added to.
        output: folder of the shards, replaced; a pure function of the other arguments.

    Returns:
        ``stored`` and ``embedded``: how many rows came from the store and how many from the backbone;
        ``seconds_plain`` and ``seconds_views``: how long the backbone took for either kind.

    Raises:
        ValueError: if a feature exceeds float16.
    """
    train = manifest.loc[manifest["split"] == "train", "key"]
    wanted = [(key, 0) for key in sorted(manifest["key"])]
    wanted_views = [(key, view) for key in sorted(train) for view in range(1, views + 1)]
    stores = FeatureStore(store, plain), FeatureStore(store, augmented)
    embed = make_embedder(backbone, plain["batch_size"])
    counts: dict[str, float] = {"stored": 0, "embedded": 0}
    for kind, target, rows in zip(("plain", "views"), stores, (wanted, wanted_views), strict=True):
        started = perf_counter()
        missing = [row for row in rows if row not in target]
        counts["embedded"] += len(missing)
        counts["stored"] += len(rows) - len(missing)
        batches = _ahead(_pixels(images, missing, backbone.input_shape[1], plain["batch_size"]))
        for batch in track(batches, f"embed {kind}", len(missing), count=lambda batch: len(batch[0])):
            target.put(batch[0], _embed(batch, embed, target.fingerprint["augmentation"]))
        counts[f"seconds_{kind}"] = perf_counter() - started
    _assemble(images, wanted + wanted_views, stores, output)
    return counts


def _pixels(images: Path, rows: Sequence[Row], size: int, batch_size: int) -> Iterator[Batch]:
    """Batches of decoded rows; rows are sorted by key, as shards and their images are."""
    views = {key: [view for _, view in group] for key, group in groupby(rows, lambda row: row[0])}
    chosen: list[Row] = []
    decoded: list[np.ndarray] = []
    for _, table in iter_shards(images) if views else ():
        for key, data in zip(table["key"].to_pylist(), table["image"], strict=True):
            if key not in views:
                continue
            pixels = load(data.as_py(), size)
            for view in views[key]:
                chosen.append((key, view))
                decoded.append(pixels)
                if len(chosen) == batch_size:
                    yield chosen, np.stack(decoded)
                    chosen, decoded = [], []
    if chosen:
        yield chosen, np.stack(decoded)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Prepare the next batch in a thread while the backbone works on this one."""
    with ThreadPoolExecutor(1) as reader:
        upcoming = reader.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(next, batches, None)
            yield batch


def _embed(
    batch: Batch, embed: Callable[[np.ndarray], np.ndarray], augmentation: dict[str, Any] | None
) -> np.ndarray:
    rows, pixels = batch
    if augmentation is not None:
        pixels = augment(
            pixels, [key for key, _ in rows], [view for _, view in rows], Augmentation(**augmentation)
        )
    return to_float16(embed(pixels))


def to_float16(features: np.ndarray) -> np.ndarray:
    """Features as the cache holds them.

    Raises:
        ValueError: if a value exceeds float16 (65,504).
    """
    with np.errstate(over="ignore"):
        rounded = features.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ValueError(
            f"a feature is outside float16: expected at most 65504, received {np.abs(features).max():g}; "
            "random weights grow with the backbone's depth: use pre-trained weights or an earlier layer"
        )
    return rounded


def _assemble(images: Path, rows: list[Row], stores: tuple[FeatureStore, FeatureStore], output: Path) -> None:
    n_shards = count_shards(sum(pq.read_metadata(file).num_rows for file in images.glob("*.parquet")))
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for name, group in groupby(sorted(rows), lambda row: shard_name(row[0], n_shards)):
        shard = list(group)
        features = np.stack([stores[view > 0].get([(key, view)])[0] for key, view in shard])
        write_features(output / f"{name}.parquet", shard, features, stores[1].fingerprint)
