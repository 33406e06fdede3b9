"""Two-stage with views: in epoch e the head sees the cached view 1 + (e mod K) of each image."""

from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.features.shards import load_features
from graft.methods.frozen import train_head
from graft.methods.outcome import Outcome
from graft.methods.splits import SCORED, arrays_by_split, rows_by_split
from graft.params import HeadMethod


def fit_two_stage_views(
    features: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: HeadMethod,
    memory_limit: float,
    scratch: Path,
    seed: int,
    facts: dict[str, Any],
    views: int,
) -> Outcome:
    """Train a head on cached features; the backbone does not run.

    Args:
        features: folder of feature shards with the views of the training images.
        manifest: of all splits.
        backbone: joined with the head for deployment.
        params: head and training.
        memory_limit: GB; larger features are memory-mapped.
        scratch: folder for that.
        seed: of weights, dropout and order.
        facts: ``backbone``, ``weights``, ``pretrained``.
        views: K, the number of views of each training image; 0: train on the plain images.
    """
    started = perf_counter()
    rows = rows_by_split(manifest)
    scored = [(key, 0) for split in SCORED for key in rows[split]["key"]]
    train = [(key, view) for view in range(views + 1) for key in rows["train"]["key"]]
    array = load_features(features, scored + train, memory_limit, scratch / "features.npy")

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        view = 1 + epoch % views if views else 0
        return np.asarray(array[len(scored) + view * len(rows["train"]) + chosen], np.float32)

    plain, facts = arrays_by_split(array, rows), {**facts, "images_embedded": len(array)}
    return train_head(plain, inputs, manifest, backbone, params, seed, facts, started)
