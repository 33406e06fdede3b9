"""From scratch: a small network without transfer, the baseline that shows what transfer is worth."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.augment import augment
from graft.heads import class_scores, output_layer
from graft.images import load_pixels
from graft.manifest import class_names
from graft.methods.frozen import SCORED, class_numbers, rows_by_split
from graft.methods.outcome import Outcome
from graft.methods.training import fit
from graft.models import deployable
from graft.params import Augmentation, Scratch


def build_network(
    layers: Sequence[dict[str, dict[str, Any]]], size: int, n_classes: int, seed: int
) -> keras.Sequential:
    """Build a network from its description in params.yaml.

    Args:
        layers: each ``{name of a keras.layers class: its arguments}``.
        size: pixels, height = width.
        n_classes: 2 adds a sigmoid unit, more add a softmax.
        seed: of the initial weights and of the dropout.

    Raises:
        ValueError: if a layer or an argument does not exist, or the shapes do not fit.
    """
    keras.utils.set_random_seed(seed)
    network = keras.Sequential([keras.Input((size, size, 3))], name="scratch")
    for i, description in enumerate(layers):
        name, arguments = next(iter(description.items()))
        layer = getattr(keras.layers, name, None)
        if not isinstance(layer, type):
            raise ValueError(f"scratch.layers[{i}]: expected a class of keras.layers, received {name!r}")
        try:
            network.add(layer(**arguments))
        except (TypeError, ValueError) as error:
            raise ValueError(f"scratch.layers[{i}]: {name}({arguments}) does not work: {error}") from None
    if len(network.output_shape) != 2:
        raise ValueError(
            f"scratch.layers: expected a vector an image, received shape={network.output_shape[1:]}; "
            "end the layers with Flatten or GlobalAveragePooling2D"
        )
    network.add(output_layer(n_classes))
    return network


def fit_scratch(
    images: Path, manifest: pd.DataFrame, params: Scratch, augmentation: Augmentation, seed: int
) -> Outcome:
    """Train a network on view e + 1 of each image in epoch e (from 0).

    Args:
        images: `data/images`.
        manifest: of all splits.
        params: image size, layers, training.
        augmentation: of the views.
        seed: of weights, dropout and order.
    """
    started = perf_counter()
    classes, rows = class_names(manifest), rows_by_split(manifest)
    labels = {split: class_numbers(rows[split], classes) for split in rows}
    pixels = {split: load_pixels(images, list(rows[split]["key"]), params.image_size) for split in rows}
    keys = rows["train"]["key"].to_numpy()
    network = build_network(params.layers, params.image_size, len(classes), seed)

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        return augment(pixels["train"][chosen], keys[chosen], [epoch + 1] * len(chosen), augmentation)

    prepared = perf_counter()
    validation = pixels["validation"], labels["validation"]
    history = fit(network, inputs, labels["train"], validation, params, seed)
    trained = perf_counter()
    outputs = [network.predict(pixels[split], verbose=0) for split in SCORED]
    return Outcome(
        model=deployable(params.image_size, network),
        history=history,
        rows=pd.concat([rows[split] for split in SCORED]),
        scores=class_scores(np.concatenate(outputs)),
        classes=classes,
        facts={
            "backbone": "none",
            "weights": "none",
            "pretrained": False,
            "images_embedded": 0,
            "n_seen_train": len(keys),
        },
        timing={"seconds_preparation": prepared - started, "seconds_training": trained - prepared},
    )
