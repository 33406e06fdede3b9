"""Training of a small network on augmented pixels, with or without a teacher."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.config.features import Precision
from graft.config.training import Scratch
from graft.data.augmentation import augment
from graft.data.decoding import load_pixels
from graft.data.images import CHANNELS
from graft.data.manifest import class_names
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.run import Run
from graft.models.dtype_policy import computing_in
from graft.models.isolation import build_isolated
from graft.models.networks import build_network
from graft.models.serialization import deployable
from graft.training.fit import TrainingData, fit
from graft.training.objective import Teaching
from graft.training.splits import arrays_by_split, class_numbers, rows_by_split
from graft.training.tracking import Curve
from graft.utils.memory import allocate

WITHOUT_BACKBONE = {"backbone": "none", "weights": "none", "pretrained": False, "weights_sha256": None}


@dataclass(frozen=True)
class Lessons:
    """The views and a teacher's answers that a network is trained on besides the labels.

    Attributes:
        views: epoch e (from 0) takes view 1 + (e mod `views`) of each image; None: view 1 + e.
        teaching: the answers of a teacher to these views.
        facts: of the predictions file.
        images_embedded: how many images ran through the teacher's backbone.
    """

    views: int | None = None
    teaching: Teaching | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    images_embedded: int = 0

    def view(self, epoch: int) -> int:
        """The number of the view that an epoch takes."""
        return 1 + (epoch % self.views if self.views else epoch)


def train_network(
    name: str, params: SimpleNamespace, run: Run, prepare: Callable[[], Lessons] = Lessons
) -> Outcome:
    """Train the network that a block of params.yaml describes.

    Args:
        name: of the block and of the network.
        params: the block, ``augmentation`` and ``memory_limit`` (GB).
        run: its images are what it is trained on.
        prepare: called once the network is known to be right.

    Raises:
        ValueError: as `build_network`.
    """
    started, block = perf_counter(), getattr(params, name)
    check_network(name, block)
    lessons, rows = prepare(), rows_by_split(run.manifest)
    keys, size = list(pd.concat(rows.values())["key"]), block.image_size
    shape = (len(keys), size, size, CHANNELS[block.color_mode])
    pixels = allocate(shape, np.uint8, params.memory_limit, run.temporary / "pixels.npy")
    plain = arrays_by_split(load_pixels(run.images, keys, size, pixels, block.color_mode), rows)
    of_train = list(rows["train"]["key"])
    labels, n_classes = class_numbers(run.manifest), len(class_names(run.manifest))

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        views = [lessons.view(epoch)] * len(chosen)
        return augment(plain["train"][chosen], [of_train[i] for i in chosen], views, params.augmentation)

    validation = plain["validation"], labels["validation"]
    data = TrainingData(inputs, labels["train"], validation, teaching=lessons.teaching)

    def build(precision: Precision, seed: int) -> keras.Sequential:
        with computing_in(precision):
            return build_network(block.layers, size, n_classes, seed, shape[-1], name)

    def train_once(seed: int, curve: Curve | None) -> Trained:
        network, deployed = (
            build_isolated(partial(build, each, seed)) for each in (block.precision, "float32")
        )
        history = fit(network, data, block, seed, curve=curve)
        deployed.set_weights(network.get_weights())
        scores = predict(network, plain, block.batch_size)
        return Trained(deployable(deployed), history, scores, lessons.images_embedded)

    return train_with_seeds(train_once, block.seeds, run, WITHOUT_BACKBONE | lessons.facts, started, params)


def check_network(name: str, block: Scratch) -> None:
    """Build the network of a block of that name, as for two classes.

    Raises:
        ValueError: as `build_network`.
    """
    build_network(block.layers, block.image_size, 2, 0, CHANNELS[block.color_mode], name)
