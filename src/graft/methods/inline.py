"""Inline: augmentation -> preprocessing -> backbone -> head, every image in every epoch; fine-tuning."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.arrays import allocate
from graft.augment import augment
from graft.blocks import Augmentation, Inline
from graft.features.shards import to_float16
from graft.images import load_pixels
from graft.layers import unfreeze
from graft.methods.fine_tuning import fine_tune
from graft.methods.frozen import head_trainer
from graft.methods.live import Log
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.splits import arrays_by_split, rows_by_split
from graft.models import deployable


def fit_inline(
    images: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    working: keras.Model,
    embed: Callable[[np.ndarray], np.ndarray],
    params: Inline,
    augmentation: Augmentation,
    memory_limit: float,
    scratch: Path,
    facts: dict[str, Any],
    live: Path | None = None,
) -> Outcome:
    """Train a head end to end on view e + 1 of each image in epoch e (from 0); fine-tune where asked.

    Nothing of a frozen backbone changes between epochs, so the plain validation and test images
    (and those of train, where the head standardises) run through it once, not once an epoch.

    Args:
        images: `data/images`.
        manifest: of all splits.
        backbone: float32, joined with the head for deployment; not run here.
        working: the same in the precision to train in; may be the same model.
        embed: from pixels in [0, 255] to float32 features, as `working` has them.
        params: head, training, fine-tuning and the seeds of weights, dropout and order.
        augmentation: of the views.
        memory_limit: GB; larger pixels and features are memory-mapped.
        scratch: folder for that.
        facts: ``backbone``, ``weights``, ``pretrained``.
        live: folder for the curve while it trains; None: nowhere.
    """
    started = perf_counter()
    choice = params.fine_tune.blocks, params.fine_tune.layers
    tuned = any(choice)
    if tuned:
        unfreeze(backbone, *choice)
        unfreeze(working, *choice)
    rows, size = rows_by_split(manifest), backbone.input_shape[1]
    keys = list(pd.concat(rows.values())["key"])
    first = len(keys) - len(rows["train"])
    pixels = allocate((len(keys), size, size, 3), np.uint8, memory_limit, scratch / "pixels.npy")
    load_pixels(images, keys, size, pixels)
    n_plain = len(keys) if params.head.standardise else first
    left = memory_limit - pixels.nbytes / 1e9
    plain = allocate((n_plain, *backbone.output_shape[1:]), np.float16, left, scratch / "features.npy")
    _embed_all(embed, pixels[:n_plain], params.batch_size, plain)

    def views(epoch: int, chosen: np.ndarray) -> np.ndarray:
        places = first + chosen
        return augment(pixels[places], [keys[i] for i in places], [epoch + 1] * len(chosen), augmentation)

    features, images_by_split = arrays_by_split(plain, rows), arrays_by_split(pixels, rows)
    train_head = head_trainer(features, views, manifest, backbone, params, embed)
    initial = working.get_weights()

    def train_once(seed: int, log: Log) -> Trained:
        working.set_weights(initial)
        head, history = train_head(seed, log)
        passes = n_plain + len(history) * len(rows["train"])
        model, arrays = head, features
        if tuned:
            model, both = fine_tune(
                working, head, history, views, images_by_split, manifest, params, seed, log
            )
            passes += first + (len(both) - len(history)) * (len(rows["train"]) + len(rows["validation"]))
            history, arrays = both, images_by_split
            backbone.set_weights(working.get_weights())
        scores = predict(model, arrays, params.batch_size)
        return Trained(deployable(size, backbone, head), history, scores, passes)

    return train_with_seeds(train_once, params.seeds, manifest, facts, started, live)


def _embed_all(
    embed: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, batch_size: int, features: np.ndarray
) -> None:
    for start in range(0, len(pixels), batch_size):
        batch = slice(start, min(start + batch_size, len(pixels)))
        features[batch] = to_float16(embed(pixels[batch]))
