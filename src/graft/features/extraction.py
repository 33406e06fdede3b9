"""The extraction: fill the store from HEAD and the backbone, then assemble the shards from it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tensorflow as tf
from filelock import FileLock

from graft.config.features import RANDOM, Augmentation, BackboneRow, Precision, weights_name
from graft.data.augmentation import augment
from graft.data.images import iter_shards, load
from graft.data.sharding import count_shards, shard_name
from graft.features.format import Row, to_float16, write_features
from graft.features.from_commits import copy_from_head
from graft.features.store import FeatureStore, room_for
from graft.models.backbones import make_embedder, weights_sha256
from graft.utils.prefetch import prefetch
from graft.utils.progress import track

Batch = tuple[list[Row], np.ndarray]
Embed = Callable[[np.ndarray], np.ndarray]


def make_fingerprint(
    backbone: keras.Model, row: BackboneRow, weights: str, precision: Precision, augmentation: Augmentation
) -> dict[str, Any]:
    """Everything that determines a feature's value besides the image and the view.

    Args:
        backbone: the model that embeds.
        row: its row of params.yaml.
        weights: ``random``, ``imagenet`` or a path, of which the name is kept.
        precision: what the backbone computes in.
        augmentation: of the views.
    """
    return {
        **row.model_dump(),
        "weights": weights_name(weights),
        "pretrained": weights != RANDOM,
        "weights_sha256": weights_sha256(backbone),
        "resampling": "Pillow bilinear, antialiased",
        "augmentation": augmentation.model_dump(),
        "precision": precision,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


def extract_features(
    images: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    fingerprint: dict[str, Any],
    views: int,
    store: Path,
    repo: Path | None,
    output: Path,
) -> dict[str, float]:
    """Embed each image of a manifest once, and its augmented views where it is for training.

    Rows come from the store, else from the features of HEAD, else from the backbone.

    Args:
        images: `data/images`.
        manifest: its keys are embedded plain (view 0); those of train also as views 1..`views`.
        backbone: from float32 pixels in [0, 255] to features.
        fingerprint: of the views, from `make_fingerprint`.
        views: how many augmented views a training image gets.
        store: root of the content-addressed store, read and added to.
        repo: Git and DVC repository whose HEAD may have features; None: there is none.
        output: folder of the shards, replaced; a pure function of the other arguments.

    Returns:
        ``from_store``, ``from_head`` and ``embedded``: how many rows came from where;
        ``seconds_plain`` and ``seconds_views``: how long the backbone took for either kind.

    Raises:
        ValueError: if a feature exceeds float16.
        OSError: if the disk is full.
    """
    train = manifest.loc[manifest["split"] == "train", "key"]
    plain = [(key, 0) for key in sorted(manifest["key"])]
    augmented = [(key, view) for key in sorted(train) for view in range(1, views + 1)]
    rows = FeatureStore(store, fingerprint)
    not_stored = rows.missing(plain + augmented)
    if repo and not_stored:
        copy_from_head(repo, not_stored, rows)
    missing = {"plain": rows.missing(plain), "views": rows.missing(augmented)}
    embed = make_embedder(backbone, fingerprint["batch_size"])
    seconds = {}
    for kind, wanted in missing.items():
        started = perf_counter()
        if wanted:
            _embed_rows(images, wanted, f"embed {kind}", embed, rows)
        seconds[f"seconds_{kind}"] = perf_counter() - started
    with FileLock(store / "assembly.lock"):  # for a second process with the same output
        _assemble(images, plain + augmented, rows, output)
    embedded = sum(map(len, missing.values()))
    from_head = len(not_stored) - embedded
    from_store = len(plain) + len(augmented) - len(not_stored)
    print(f"features: {from_store:,} from the store, {from_head:,} from HEAD, {embedded:,} embedded")
    return {"from_store": from_store, "from_head": from_head, "embedded": embedded, **seconds}


def _embed_rows(
    images: Path, rows: Sequence[Row], description: str, embed: Embed, store: FeatureStore
) -> None:
    """Embed rows that are all plain or all augmented, and put each batch into the store."""
    size, batch_size = (store.fingerprint[key] for key in ("image_size", "batch_size"))
    augmentation = Augmentation(**store.fingerprint["augmentation"])
    batches = prefetch(_pixels(images, rows, size, batch_size))
    for chosen, pixels in track(batches, description, len(rows), count=lambda batch: len(batch[0])):
        keys, views = zip(*chosen, strict=True)
        augmented = augment(pixels, keys, views, augmentation) if views[0] else pixels
        store.put(chosen, to_float16(embed(augmented)))


def _pixels(images: Path, rows: Sequence[Row], size: int, batch_size: int) -> Iterator[Batch]:
    """Batches of decoded rows; rows are sorted by key, as shards and their images are."""
    views = {key: [view for _, view in group] for key, group in groupby(rows, lambda row: row[0])}
    chosen: list[Row] = []
    decoded: list[np.ndarray] = []
    for _, table in iter_shards(images):
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


def _assemble(images: Path, rows: list[Row], store: FeatureStore, output: Path) -> None:
    n_shards = count_shards(sum(pq.read_metadata(file).num_rows for file in images.glob("*.parquet")))
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with room_for(output.parent):
            for name, group in groupby(sorted(rows), lambda row: shard_name(row[0], n_shards)):
                shard = list(group)
                write_features(partial / f"{name}.parquet", shard, store.get(shard), store.fingerprint)
        shutil.rmtree(output, ignore_errors=True)
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
