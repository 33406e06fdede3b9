"""Two-stage: the head is trained on the cached features of the plain images."""

from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.features.shards import load_features
from graft.methods.frozen import rows_by_split, train_head
from graft.methods.outcome import Outcome
from graft.params import HeadMethod


def load_plain(
    features: Path, manifest: pd.DataFrame, memory_limit: float, scratch: Path
) -> dict[str, np.ndarray]:
    """The features of the plain images by split, in the manifest's order.

    Args:
        features: folder of feature shards.
        manifest: whose images are wanted.
        memory_limit: GB; larger features are memory-mapped.
        scratch: folder of the memory-mapped file.
    """
    rows = rows_by_split(manifest)
    ordered = [(key, 0) for part in rows.values() for key in part["key"]]
    array = load_features(features, ordered, memory_limit, scratch / "plain.npy")
    ends = np.cumsum([len(part) for part in rows.values()])[:-1]
    return dict(zip(rows, np.split(array, ends), strict=True))


def fit_two_stage(
    features: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: HeadMethod,
    memory_limit: float,
    scratch: Path,
    seed: int,
    facts: dict[str, Any],
) -> Outcome:
    """Train a head on cached features; the backbone does not run.

    Args:
        features: folder of feature shards.
        manifest: of all splits.
        backbone: joined with the head for deployment.
        params: head and training.
        memory_limit: GB; larger features are memory-mapped.
        scratch: folder for that.
        seed: of weights, dropout and order.
        facts: ``backbone``, ``weights``, ``pretrained``.
    """
    started = perf_counter()
    plain = load_plain(features, manifest, memory_limit, scratch)
    train = plain["train"]
    return train_head(
        plain,
        lambda _, rows: train[rows].astype(np.float32),
        manifest,
        backbone,
        params,
        seed,
        {**facts, "images_embedded": len(manifest)},
        started,
    )
