"""Inline: augmentation -> preprocessing -> frozen backbone -> head, every image in every epoch."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.augment import augment
from graft.backbones import make_embedder
from graft.features.extract import to_float16
from graft.images import load_pixels
from graft.methods.frozen import rows_by_split, train_head
from graft.methods.outcome import Outcome
from graft.params import Augmentation, HeadMethod


def fit_inline(
    images: Path,
    manifest: pd.DataFrame,
    backbone: keras.Model,
    params: HeadMethod,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    facts: dict[str, Any],
) -> Outcome:
    """Train a head end to end on view e + 1 of each image in epoch e (from 0).

    Nothing of a frozen backbone changes between epochs, so the plain validation and test images
    (and those of train, where the head standardises) run through it once, not once an epoch.

    Args:
        images: `data/images`.
        manifest: of all splits.
        backbone: from float32 pixels in [0, 255] to features.
        params: head and training.
        augmentation: of the views.
        batch_size: images the backbone embeds at once; `params.batch_size` is the head's.
        seed: of weights, dropout and order.
        facts: ``backbone``, ``weights``, ``pretrained``.
    """
    started = perf_counter()
    embed = make_embedder(backbone, batch_size)
    rows = rows_by_split(manifest)
    pixels = {split: load_pixels(images, list(rows[split]["key"]), backbone.input_shape[1]) for split in rows}
    needed = [split for split in pixels if split != "train" or params.head.standardise]
    plain = {split: to_float16(embed(pixels[split])) for split in needed}
    keys = rows["train"]["key"].to_numpy()

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        views = [epoch + 1] * len(chosen)
        return embed(augment(pixels["train"][chosen], keys[chosen], views, augmentation))

    outcome = train_head(plain, inputs, manifest, backbone, params, seed, facts, started)
    passes = sum(map(len, plain.values())) + len(outcome.history) * len(keys)
    return replace(outcome, facts={**outcome.facts, "images_embedded": passes})
