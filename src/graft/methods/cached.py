"""Training of a Keras head on cached features, plain ones or views."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from types import SimpleNamespace

import keras
import numpy as np

from graft.config.features import backbone_facts
from graft.config.training import CachedMethod, check_smote
from graft.data.augmentation import augment_features
from graft.data.manifest import class_names
from graft.features.format import engine_facts, load_features
from graft.methods.head_training import head_trainer
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.run import Run
from graft.models.serialization import deployable, load_frozen, weights_sha256
from graft.training.fit import TrainingData
from graft.training.sampling import oversample
from graft.training.splits import SCORED, arrays_by_split, class_numbers, rows_by_split
from graft.training.tracking import Curve


def train_on_features(block: CachedMethod, params: SimpleNamespace, run: Run, views: int) -> Outcome:
    """Train a head on cached features, of which epoch e (from 0) takes view 1 + (e mod `views`).

    The backbone does not run: it is joined with the head for deployment.

    Args:
        block: head, training and the augmentation of features, which is drawn again for every epoch.
        params: ``backbone``, ``weights``, ``memory_limit`` (GB) and ``seeds`` of weights, dropout and order.
        run: its views hold those of the training images.
        views: the number of views of each training image; 0: train on the plain images.
    """
    started = perf_counter()
    check_smote(block.sampling)
    backbone: keras.Model = load_frozen(run.backbone)
    cached = load_cached(run, views, params.memory_limit)
    train_head = head_trainer(cached.plain, cached.data_for(block), cached.n_classes, block)

    def train_once(seed: int, curve: Curve | None) -> Trained:
        head, history = train_head(seed, curve)
        scores = predict(head, cached.plain, block.batch_size)
        return Trained(deployable(backbone, head), history, scores, len(cached.array), head)

    facts = backbone_facts(params.backbone, params.weights) | {"weights_sha256": weights_sha256(backbone)}
    facts |= engine_facts(run.features)
    return train_with_seeds(train_once, params.seeds, run, facts, started)


@dataclass(frozen=True)
class Cached:
    """The cached features of a training run.

    Attributes:
        array: (n, h, w, c) or (n, c) float16: the plain images of the splits that are scored, the plain
            training images, then view 1 of each of these, view 2 ...
        plain: the plain images by split.
        labels: (n,) class numbers by split.
        keys: of the training images.
        views: the number of views of each training image; 0: the plain one is trained on.
        n_classes: of the labels.
        memory_limit: of what is made of them, in GB.
    """

    array: np.ndarray
    plain: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    keys: list[str]
    views: int
    n_classes: int
    memory_limit: float

    def data_for(self, block: CachedMethod) -> TrainingData:
        """The rows that a head is trained on, with the block's augmentation of features."""
        keys, labels, n = self.keys, self.labels["train"], len(self.keys)
        start = len(self.array) - (self.views + 1) * n
        numbers = range(1, self.views + 1) if self.views else [0]
        cached = [self.array[start + view * n :][:n] for view in numbers]
        if block.sampling == "smote":
            made = [oversample(each, labels, self.memory_limit / len(cached), 0) for each in cached]
            cached, labels = [rows for rows, _ in made], made[0][1]
            keys = [*keys, *(f"smote {i}" for i in range(n, len(labels)))]

        def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
            of_view, draws = cached[epoch % len(cached)][chosen], [epoch + 1] * len(chosen)
            return augment_features(of_view, [keys[i] for i in chosen], draws, block.feature_augmentation)

        return TrainingData(inputs, labels, (self.plain["validation"], self.labels["validation"]))


def load_cached(run: Run, views: int, memory_limit: float, scored: Sequence[str] = SCORED) -> Cached:
    """Load the features that a head is trained on, and of the splits that it is scored on.

    Args:
        run: its manifest, features, views and folder for large arrays are used.
        views: of each training image, to load beside the plain one.
        memory_limit: GB; a larger array is memory-mapped.
        scored: the splits to load besides train; no row of another one is.
    """
    rows = {split: part for split, part in rows_by_split(run.manifest).items() if split in (*scored, "train")}
    keys = list(rows["train"]["key"])
    wanted = [(key, 0) for split in scored for key in rows[split]["key"]]
    wanted += [(key, view) for view in range(views + 1) for key in keys]
    folders = [run.features, run.views] if views else [run.features]
    array = load_features(folders, wanted, memory_limit, run.temporary / "features.npy")
    plain, labels = arrays_by_split(array, rows), class_numbers(run.manifest)
    return Cached(array, plain, labels, keys, views, len(class_names(run.manifest)), memory_limit)
