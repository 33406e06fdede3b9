"""Two-stage with views: in epoch e the head sees the cached view 1 + (e mod K) of each image."""

from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.features.shards import load_features
from graft.methods.frozen import rows_by_split, train_head
from graft.methods.outcome import Outcome
from graft.methods.two_stage import load_plain
from graft.params import HeadMethod


def fit_two_stage_views(
    features: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: HeadMethod,
    views: int,
    memory_limit: float,
    scratch: Path,
    seed: int,
    facts: dict[str, Any],
) -> Outcome:
    """Train a head on cached augmented views; the backbone does not run.

    Args:
        features: folder of feature shards with the views of the training images.
        manifest: of all splits.
        backbone: joined with the head for deployment.
        params: head and training.
        views: K, the number of views of each training image.
        memory_limit: GB; larger features are memory-mapped.
        scratch: folder for that.
        seed: of weights, dropout and order.
        facts: ``backbone``, ``weights``, ``pretrained``.
    """
    started = perf_counter()
    plain = load_plain(features, manifest, memory_limit, scratch)
    keys = rows_by_split(manifest)["train"]["key"]
    ordered = [(key, view) for view in range(1, views + 1) for key in keys]
    augmented = load_features(features, ordered, memory_limit, scratch / "views.npy")
    return train_head(
        plain,
        lambda epoch, rows: augmented[epoch % views * len(keys) + rows].astype(np.float32),
        manifest,
        backbone,
        params,
        seed,
        {**facts, "images_embedded": len(manifest) + len(ordered)},
        started,
    )
