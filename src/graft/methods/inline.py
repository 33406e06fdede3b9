"""Inline: augmentation -> preprocessing -> backbone -> head, every image in every epoch; fine-tuning."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import pandas as pd

from graft.config.features import Augmentation, BackboneRow, backbone_facts
from graft.config.training import Inline
from graft.config.types import Positive, Seed, Text
from graft.data.augmentation import augment
from graft.data.decoding import load_pixels
from graft.data.manifest import class_names
from graft.features.format import to_float16
from graft.methods.fine_tuning import fine_tune, join
from graft.methods.head_training import head_trainer
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.run import Run
from graft.models.backbones import Backbone, make_embedder
from graft.models.freezing import unfreeze
from graft.models.serialization import deployable, weights_sha256
from graft.training.fit import TrainingData
from graft.training.sampling import count_rows
from graft.training.splits import arrays_by_split, class_numbers, rows_by_split
from graft.training.tracking import Curve
from graft.utils.memory import allocate
from graft.utils.progress import track

PARAMS = {
    "seed": Seed,
    "backbone": Text,
    "backbones.${backbone}": BackboneRow,
    "weights": Text,
    "features.memory_limit": Positive,
    "augmentation": Augmentation,
    "inline": Inline,
}


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Train a head end to end on view e + 1 of each image in epoch e (from 0); fine-tune where asked.

    Nothing of a frozen backbone changes between epochs, so the plain validation and test images
    (and those of train, where the head standardises) run through it once, not once an epoch.
    """
    started, block = perf_counter(), params.inline
    described = Backbone(params.row, params.weights, params.seed)
    backbone, working = described.build_pair(block.precision)
    choice = block.fine_tune.blocks, block.fine_tune.layers
    if any(choice):
        unfreeze(backbone, *choice)
        unfreeze(working, *choice)
    embed = make_embedder(working, block.batch_size, spare_rows=0)
    rows = rows_by_split(run.manifest)
    n_train, n_validation = len(rows["train"]), len(rows["validation"])
    pixels, views = _load_images(params, run, rows)
    n_plain = len(pixels) if block.head.normalise == "standardise" else len(pixels) - n_train
    features = arrays_by_split(_embed_all(embed, pixels[:n_plain], params, run), rows)
    images, labels = arrays_by_split(pixels, rows), class_numbers(run.manifest)
    n_rows = count_rows(labels["train"], block.sampling)  # of an epoch
    data = TrainingData(views, labels["train"], (features["validation"], labels["validation"]), embed)
    on_pixels = replace(data, validation=(images["validation"], labels["validation"]), embed=None)
    train_head = head_trainer(features, data, len(class_names(run.manifest)), block)
    initial, pretrained = working.get_weights(), weights_sha256(backbone)

    def train_once(seed: int, curve: Curve | None) -> Trained:
        working.set_weights(initial)
        head, history = train_head(seed, curve)
        model, arrays, passes = head, features, n_plain + len(history) * n_rows
        if any(choice):
            model, arrays, done = join(working, head), images, len(history)
            history = fine_tune(model, history, on_pixels, block, seed, curve)
            passes += len(pixels) - n_train + (len(history) - done) * (n_rows + n_validation)
            backbone.set_weights(working.get_weights())
        scores = predict(model, arrays, block.batch_size)
        return Trained(deployable(backbone, head), history, scores, passes)

    facts = backbone_facts(params.backbone, params.weights) | {"weights_sha256": pretrained}
    return train_with_seeds(train_once, block.seeds, run, facts, started, params)


def _load_images(
    params: SimpleNamespace, run: Run, rows: dict[str, pd.DataFrame]
) -> tuple[np.ndarray, Callable[[int, np.ndarray], np.ndarray]]:
    """All images' pixels, in the order of `rows`, and the function that gives an epoch's views of train."""
    keys, size = list(pd.concat(rows.values())["key"]), params.row.image_size
    pixels = allocate((len(keys), size, size, 3), np.uint8, params.memory_limit, run.temporary / "pixels.npy")
    load_pixels(run.images, keys, size, pixels)
    first = len(keys) - len(rows["train"])

    def views(epoch: int, chosen: np.ndarray) -> np.ndarray:
        places, view = first + chosen, [epoch + 1] * len(chosen)
        return augment(pixels[places], [keys[i] for i in places], view, params.augmentation)

    return pixels, views


def _embed_all(
    embed: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, params: SimpleNamespace, run: Run
) -> np.ndarray:
    """The features of images, float16; memory-mapped where they do not fit beside the pixels."""
    size = params.inline.batch_size
    parts = (pixels[i : i + size] for i in range(0, len(pixels), size))
    batches = (to_float16(embed(part)) for part in track(parts, "embed", len(pixels), count=len))
    first = next(batches)
    left = params.memory_limit - pixels.nbytes / 1e9
    features = allocate((len(pixels), *first.shape[1:]), np.float16, left, run.temporary / "features.npy")
    features[: len(first)] = first
    for i, batch in enumerate(batches, 1):
        features[i * size : i * size + len(batch)] = batch
    return features
