"""From scratch: a small network without transfer, the baseline that shows what transfer is worth."""

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.config.features import Augmentation, Precision
from graft.config.training import Scratch
from graft.config.types import Positive
from graft.data.augmentation import augment
from graft.data.decoding import load_pixels
from graft.data.images import CHANNELS
from graft.data.manifest import class_names
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.run import Run
from graft.models.dtype_policy import computing_in
from graft.models.heads import output_layer
from graft.models.isolation import build_isolated
from graft.models.serialization import deployable
from graft.training.fit import TrainingData, fit
from graft.training.splits import arrays_by_split, class_numbers, rows_by_split
from graft.training.tracking import Curve
from graft.utils.memory import allocate

PARAMS = {"features.memory_limit": Positive, "augmentation": Augmentation, "scratch": Scratch}


def build_network(
    layers: Sequence[dict[str, dict[str, Any]]], size: int, n_classes: int, seed: int, channels: int = 3
) -> keras.Sequential:
    """Build a network from its description in params.yaml.

    Args:
        layers: each ``{name of a keras.layers class: its arguments}``.
        size: pixels, height = width.
        n_classes: 2 adds a sigmoid unit, more add a softmax.
        seed: of the initial weights and of the dropout.
        channels: of the images.

    Raises:
        ValueError: if a layer or an argument does not exist, or the shapes do not fit.
    """
    keras.utils.set_random_seed(seed)
    network = keras.Sequential([keras.Input((size, size, channels))], name="scratch")
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


def check_network(params: Scratch) -> None:
    """Build the network as for two classes.

    Raises:
        ValueError: as `build_network`.
    """
    build_network(params.layers, params.image_size, 2, 0, CHANNELS[params.color_mode])


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Train a network on view e + 1 of each image in epoch e (from 0)."""
    started, block = perf_counter(), params.scratch
    check_network(block)
    rows, size = rows_by_split(run.manifest), block.image_size
    keys = list(pd.concat(rows.values())["key"])
    shape = (len(keys), size, size, CHANNELS[block.color_mode])
    pixels = allocate(shape, np.uint8, params.memory_limit, run.temporary / "pixels.npy")
    plain = arrays_by_split(load_pixels(run.images, keys, size, pixels, block.color_mode), rows)
    of_train = list(rows["train"]["key"])
    labels, n_classes = class_numbers(run.manifest), len(class_names(run.manifest))

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        views = [epoch + 1] * len(chosen)
        return augment(plain["train"][chosen], [of_train[i] for i in chosen], views, params.augmentation)

    data = TrainingData(inputs, labels["train"], (plain["validation"], labels["validation"]))

    def build(precision: Precision, seed: int) -> keras.Sequential:
        with computing_in(precision):
            return build_network(block.layers, size, n_classes, seed, shape[-1])

    def train_once(seed: int, curve: Curve | None) -> Trained:
        network, deployed = (
            build_isolated(partial(build, each, seed)) for each in (block.precision, "float32")
        )
        history = fit(network, data, block, seed, curve=curve)
        deployed.set_weights(network.get_weights())
        return Trained(deployable(deployed), history, predict(network, plain, block.batch_size), 0)

    facts = {"backbone": "none", "weights": "none", "pretrained": False, "weights_sha256": None}
    return train_with_seeds(train_once, block.seeds, run, facts, started, params)
