"""Training of a Keras head on cached features, plain ones or views."""

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
    rows = rows_by_split(run.manifest)
    scored = [(key, 0) for split in SCORED for key in rows[split]["key"]]
    keys = list(rows["train"]["key"])
    train = [(key, view) for view in range(views + 1) for key in keys]
    folders = [run.features, run.views] if views else [run.features]
    array = load_features(folders, scored + train, params.memory_limit, run.temporary / "features.npy")

    labels, numbers = class_numbers(run.manifest), range(1, views + 1) if views else [0]
    cached = [array[len(scored) + view * len(keys) :][: len(keys)] for view in numbers]
    if block.sampling == "smote":
        made = [oversample(each, labels["train"], params.memory_limit / len(cached), 0) for each in cached]
        cached, labels["train"] = [rows for rows, _ in made], made[0][1]
        keys += [f"smote {i}" for i in range(len(keys), len(labels["train"]))]

    def inputs(epoch: int, chosen: np.ndarray) -> np.ndarray:
        of_view, draws = cached[epoch % len(cached)][chosen], [epoch + 1] * len(chosen)
        return augment_features(of_view, [keys[i] for i in chosen], draws, block.feature_augmentation)

    plain = arrays_by_split(array, rows)
    data = TrainingData(inputs, labels["train"], (plain["validation"], labels["validation"]))
    train_head = head_trainer(plain, data, len(class_names(run.manifest)), block)

    def train_once(seed: int, curve: Curve | None) -> Trained:
        head, history = train_head(seed, curve)
        return Trained(
            deployable(backbone, head), history, predict(head, plain, block.batch_size), len(array)
        )

    facts = backbone_facts(params.backbone, params.weights) | {"weights_sha256": weights_sha256(backbone)}
    facts |= engine_facts(run.features)
    return train_with_seeds(train_once, params.seeds, run, facts, started)
