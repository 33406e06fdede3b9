"""Inline: augmentation -> preprocessing -> backbone -> head, every image in every epoch; fine-tuning."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd

from graft.config.features import Augmentation, BackboneRow, backbone_facts
from graft.config.training import Inline
from graft.config.types import Positive, Seed, Text
from graft.data.augmentation import augment
from graft.data.images import load_pixels
from graft.features.format import to_float16
from graft.methods.fine_tuning import fine_tune
from graft.methods.head_training import head_trainer
from graft.methods.outcome import Outcome, Stopwatch, Trained, predict, train_with_seeds
from graft.methods.run import Run
from graft.models.backbones import build_pair, make_embedder
from graft.models.freezing import unfreeze
from graft.models.serialization import deployable
from graft.training.splits import arrays_by_split, rows_by_split
from graft.training.tracking import Log
from graft.utils.memory import allocate

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
    watch, block = Stopwatch(), params.inline
    backbone, working = build_pair(params.row, params.weights, params.seed, block.precision)
    embed = make_embedder(working, block.batch_size, spare_rows=0)
    choice = block.fine_tune.blocks, block.fine_tune.layers
    tuned = any(choice)
    if tuned:
        unfreeze(backbone, *choice)
        unfreeze(working, *choice)
    rows, size = rows_by_split(run.manifest), backbone.input_shape[1]
    keys = list(pd.concat(rows.values())["key"])
    first = len(keys) - len(rows["train"])
    pixels = allocate((len(keys), size, size, 3), np.uint8, params.memory_limit, run.temporary / "pixels.npy")
    load_pixels(run.images, keys, size, pixels)
    n_plain = len(keys) if block.head.standardise else first
    left = params.memory_limit - pixels.nbytes / 1e9
    plain = allocate((n_plain, *backbone.output_shape[1:]), np.float16, left, run.temporary / "features.npy")
    _embed_all(embed, pixels[:n_plain], block.batch_size, plain)

    def views(epoch: int, chosen: np.ndarray) -> np.ndarray:
        places = first + chosen
        return augment(
            pixels[places], [keys[i] for i in places], [epoch + 1] * len(chosen), params.augmentation
        )

    features, images_by_split = arrays_by_split(plain, rows), arrays_by_split(pixels, rows)
    train_head = head_trainer(features, views, run.manifest, backbone.output_shape[1:], block, embed)
    initial = working.get_weights()

    def train_once(seed: int, log: Log) -> Trained:
        working.set_weights(initial)
        head, history = train_head(seed, log)
        passes = n_plain + len(history) * len(rows["train"])
        model, arrays = head, features
        if tuned:
            model, both = fine_tune(
                working, head, history, views, images_by_split, run.manifest, block, seed, log
            )
            passes += first + (len(both) - len(history)) * (len(rows["train"]) + len(rows["validation"]))
            history, arrays = both, images_by_split
            backbone.set_weights(working.get_weights())
        scores = predict(model, arrays, block.batch_size)
        return Trained(deployable(size, backbone, head), history, scores, passes)

    return train_with_seeds(
        train_once, block.seeds, run, backbone_facts(params.backbone, params.weights), watch
    )


def _embed_all(
    embed: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, batch_size: int, features: np.ndarray
) -> None:
    for start in range(0, len(pixels), batch_size):
        batch = slice(start, min(start + batch_size, len(pixels)))
        features[batch] = to_float16(embed(pixels[batch]))
