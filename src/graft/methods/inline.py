"""Inline: augmentation -> preprocessing -> frozen backbone -> head, every image in every epoch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.arrays import allocate
from graft.augment import augment
from graft.features.shards import to_float16
from graft.images import load_pixels
from graft.methods.frozen import train_head
from graft.methods.outcome import Outcome
from graft.methods.splits import arrays_by_split, rows_by_split
from graft.params import Augmentation, HeadMethod


def fit_inline(
    images: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    embed: Callable[[np.ndarray], np.ndarray],
    params: HeadMethod,
    augmentation: Augmentation,
    memory_limit: float,
    scratch: Path,
    seed: int,
    facts: dict[str, Any],
) -> Outcome:
    """Train a head end to end on view e + 1 of each image in epoch e (from 0).

    Nothing of a frozen backbone changes between epochs, so the plain validation and test images
    (and those of train, where the head standardises) run through it once, not once an epoch.

    Args:
        images: `data/images`.
        manifest: of all splits.
        backbone: joined with the head for deployment; not run here.
        embed: from pixels in [0, 255] to float32 features, as the backbone has them.
        params: head and training.
        augmentation: of the views.
        memory_limit: GB; larger pixels and features are memory-mapped.
        scratch: folder for that.
        seed: of weights, dropout and order.
        facts: ``backbone``, ``weights``, ``pretrained``.
    """
    started = perf_counter()
    rows, size = rows_by_split(manifest), backbone.input_shape[1]
    keys = list(pd.concat(rows.values())["key"])
    first = len(keys) - len(rows["train"])
    pixels = allocate((len(keys), size, size, 3), np.uint8, memory_limit, scratch / "pixels.npy")
    load_pixels(images, keys, size, pixels)
    n_plain = len(keys) if params.head.standardise else first
    left = memory_limit - pixels.nbytes / 1e9
    plain = allocate((n_plain, *backbone.output_shape[1:]), np.float16, left, scratch / "features.npy")
    for start in range(0, n_plain, params.batch_size):
        batch = slice(start, min(start + params.batch_size, n_plain))
        plain[batch] = to_float16(embed(pixels[batch]))

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        places, views = first + chosen, [epoch + 1] * len(chosen)
        return embed(augment(pixels[places], [keys[i] for i in places], views, augmentation))

    features = arrays_by_split(plain, rows)
    outcome = train_head(features, inputs, manifest, backbone, params, seed, facts, started)
    passes = n_plain + len(outcome.history) * len(rows["train"])
    return replace(outcome, facts={**outcome.facts, "images_embedded": passes})
