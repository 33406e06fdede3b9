"""Two-stage with views: in epoch e the head sees the cached view 1 + (e mod K) of each image."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.augment import augment_features
from graft.blocks import CachedMethod
from graft.features.shards import load_features
from graft.methods.frozen import head_trainer
from graft.methods.live import Log
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.splits import SCORED, arrays_by_split, rows_by_split
from graft.models import deployable


def fit_two_stage_views(
    features: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: CachedMethod,
    memory_limit: float,
    scratch: Path,
    seeds: Sequence[int],
    facts: dict[str, Any],
    views: int,
    live: Path | None = None,
) -> Outcome:
    """Train a head on cached features; the backbone does not run.

    Args:
        features: folder of feature shards with the views of the training images.
        manifest: of all splits.
        backbone: joined with the head for deployment.
        params: head, training and the augmentation of features, which is anew in every epoch.
        memory_limit: GB; larger features are memory-mapped.
        scratch: folder for that.
        seeds: of weights, dropout and order.
        facts: ``backbone``, ``weights``, ``pretrained``.
        views: K, the number of views of each training image; 0: train on the plain images.
        live: folder for the curve while it trains; None: nowhere.
    """
    started = perf_counter()
    rows = rows_by_split(manifest)
    scored = [(key, 0) for split in SCORED for key in rows[split]["key"]]
    keys = list(rows["train"]["key"])
    train = [(key, view) for view in range(views + 1) for key in keys]
    array = load_features(features, scored + train, memory_limit, scratch / "features.npy")

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        view = 1 + epoch % views if views else 0
        cached = array[len(scored) + view * len(keys) + chosen]
        draws = [epoch + 1] * len(chosen)
        return augment_features(cached, [keys[i] for i in chosen], draws, params.feature_augmentation)

    plain = arrays_by_split(array, rows)
    train_head = head_trainer(plain, inputs, manifest, backbone, params)

    def train_once(seed: int, log: Log) -> Trained:
        head, history = train_head(seed, log)
        model = deployable(backbone.input_shape[1], backbone, head)
        return Trained(model, history, predict(head, plain, params.batch_size), len(array))

    return train_with_seeds(train_once, seeds, manifest, facts, started, live)
