"""Linear: a logistic regression on the cached features, the baseline that every head must beat."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from graft.config.features import backbone_facts
from graft.config.training import Linear, check_smote
from graft.config.types import Positive, Text
from graft.features.format import engine_facts, load_features
from graft.methods.outcome import Outcome, Trained, predict, train_with_seeds
from graft.methods.run import Run
from graft.models.heads import fit_scaler, normalise, output_layer, pool, vector_layers
from graft.models.isolation import build_isolated
from graft.models.serialization import deployable, load_frozen, weights_sha256
from graft.training.decision import class_scores
from graft.training.sampling import draw_rows, oversample
from graft.training.splits import arrays_by_split, class_numbers, rows_by_split
from graft.training.tracking import Curve
from graft.utils.memory import allocate
from graft.utils.progress import track

PARAMS = {"backbone": Text, "weights": Text, "features.memory_limit": Positive, "linear": Linear}
GRID = tuple(float(f"{10 ** (i / 2):.0e}") for i in range(-8, 7))  # half decades: 0.0001, 0.0003, ... 1000
MAX_ITER, PATIENCE, BATCH_SIZE, SEED = 1000, 2, 256, 0


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Fit a logistic regression on the plain images' features; C, where it is not given, by validation.

    Of the Cs in `GRID` the one with the lowest validation log loss is kept. Nothing is random but the rows
    that sampling chooses or makes, so there is one seed. The history has a row for each C that was tried.
    """
    started, block = perf_counter(), params.linear
    check_smote(block.sampling)
    backbone: keras.Model = load_frozen(run.backbone)
    rows, labels = rows_by_split(run.manifest), class_numbers(run.manifest)
    keys = [(key, 0) for part in rows.values() for key in part["key"]]
    array = load_features([run.features], keys, params.memory_limit, run.temporary / "features.npy")
    features = arrays_by_split(array, rows)

    def train_once(seed: int, curve: Curve | None) -> Trained:  # noqa: ARG001
        grid, room = choose_grid(block), Room(params.memory_limit, run.temporary)
        tried = track(grid, "fit", len(grid), "values of C")
        fitted, scaler, history = fit_features(features, labels, tried, block, room)
        head = build_isolated(lambda: to_head(fitted, array.shape[1:], block, scaler))
        return Trained(deployable(backbone, head), history, predict(head, features, BATCH_SIZE), len(array))

    facts = backbone_facts(params.backbone, params.weights) | {"weights_sha256": weights_sha256(backbone)}
    facts |= engine_facts(run.features)
    return train_with_seeds(train_once, (SEED,), run, facts, started)


class Room(NamedTuple):
    """The memory that an array may take, in GB, and the folder for the file of a larger one."""

    memory_limit: float
    temporary: Path


class Regression(NamedTuple):
    """A fitted logistic regression on rows of d numbers: kernel (d, 1) or (d, n_classes), bias, n_classes."""

    kernel: np.ndarray
    bias: np.ndarray
    n_classes: int

    def score(self, x: np.ndarray) -> np.ndarray:
        """Give the (n, n_classes) probabilities of normalised rows (n, d)."""
        outputs = x @ self.kernel + self.bias
        return class_scores(expit(outputs)) if self.n_classes == 2 else softmax(outputs, axis=1)


def choose_grid(block: Linear) -> tuple[float, ...]:
    """The values of C to try: the one that is given, else `GRID`."""
    return GRID if block.C is None else (block.C,)


def fit_features(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    grid: Iterable[float],
    block: Linear,
    room: Room,
) -> tuple[Regression, StandardScaler | None, pd.DataFrame]:
    """Pool and normalise features of ``train`` and ``validation``, and fit a regression, as the block says.

    Args:
        features: (n, h, w, c) or (n, c), which may be memory-mapped.
        labels: (n,) class numbers.
        grid: values of C, ascending.
        block: pooling, normalisation, sampling and class weight.
        room: for the rows.

    Returns:
        The regression, the scaler of ``standardise`` (else None), and the history of `fit_regression`.
    """
    scaler = fit_scaler(features["train"], block.pooling) if block.normalise == "standardise" else None
    x = {split: to_rows(features[split], block, scaler, room, split) for split in ("train", "validation")}
    fitted, history = fit_regression(*resample(x, labels, block, room.memory_limit), grid, block)
    return fitted, scaler, history


def resample(
    x: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], block: Linear, memory_limit: float
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Choose or make the rows of ``train`` as `sampling` says; of the others none changes."""
    if not block.sampling:
        return x, labels
    if block.sampling == "smote":
        rows, numbers = oversample(x["train"], labels["train"], memory_limit, SEED)
    else:
        kept = draw_rows(labels["train"], block.sampling, np.random.default_rng(SEED))
        rows, numbers = x["train"][kept], labels["train"][kept]
    return {**x, "train": rows}, {**labels, "train": numbers}


def fit_regression(
    x: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], grid: Iterable[float], block: Linear
) -> tuple[Regression, pd.DataFrame]:
    """Fit a logistic regression for one C after the other and keep the one with the lowest validation loss.

    Each starts from the one before; the search ends where two in a row are worse than the best.

    Args:
        x: ``train`` and ``validation``: (n, d) normalised features.
        labels: of the same: (n,) class numbers.
        grid: inverse strengths of the L2 penalty, ascending, as in scikit-learn.
        block: its class weight is used.

    Returns:
        The regression, and a row for each C that was tried: C, accuracy, loss, val_accuracy, val_loss
        (log loss, in nats).
    """
    basis, z = reduce_rows(x)
    model = LogisticRegression(class_weight=block.class_weight, max_iter=MAX_ITER, warm_start=True)
    tried: list[dict[str, float]] = []
    kept, best = None, -1
    for c in grid:
        model.set_params(C=c).fit(z["train"], labels["train"])
        tried.append({"C": c, **_measure(model, z, labels)})
        if kept is None or tried[-1]["val_loss"] < tried[best]["val_loss"]:
            best, kept = len(tried) - 1, (model.coef_.T.copy(), model.intercept_.copy())
        elif len(tried) - best > PATIENCE:
            break
    assert kept is not None
    kernel = kept[0] if basis is None else basis @ kept[0]
    return Regression(kernel, kept[1], len(model.classes_)), pd.DataFrame(tried)


def reduce_rows(x: Mapping[str, np.ndarray]) -> tuple[np.ndarray | None, Mapping[str, np.ndarray]]:
    """Give n training rows at most n coordinates, in a basis (d, n); None where they have no more anyway.

    The kernel with the smallest penalty lies in the span of the training rows, so the result is the same.
    """
    n, d = x["train"].shape
    if n >= d:
        return None, x
    basis, rows = np.linalg.qr(x["train"].T)
    return basis, {"train": rows.T, "validation": x["validation"] @ basis}


def _measure(
    model: LogisticRegression, x: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> dict[str, float]:
    measured = {}
    for split, prefix in (("train", ""), ("validation", "val_")):
        scores = model.predict_proba(x[split])
        measured[f"{prefix}accuracy"] = float((scores.argmax(1) == labels[split]).mean())
        measured[f"{prefix}loss"] = float(log_loss(labels[split], scores, labels=model.classes_))
    return measured


def to_rows(
    features: np.ndarray, block: Linear, scaler: StandardScaler | None, room: Room, name: str
) -> np.ndarray:
    """Pool and normalise features to (n, d) float32, in batches, as they may be memory-mapped.

    `name` is that of the file which takes them where they are too large for memory.
    """
    width = pool(features[:1], block.pooling).shape[1]
    x = allocate((len(features), width), np.float32, room.memory_limit, room.temporary / f"{name}.npy")
    for start in range(0, len(features), BATCH_SIZE):
        batch = pool(features[start : start + BATCH_SIZE].astype(np.float64), block.pooling)
        x[start : start + len(batch)] = normalise(batch, block.normalise, scaler)
    return x


def take_rows(array: np.ndarray, at: np.ndarray, room: Room, name: str) -> np.ndarray:
    """Copy rows of an array, to a file where they are too large for memory."""
    file = room.temporary / f"taken-{name}.npy"
    taken = allocate((len(at), *array.shape[1:]), array.dtype, room.memory_limit, file)
    for start in range(0, len(at), BATCH_SIZE):
        taken[start : start + BATCH_SIZE] = array[at[start : start + BATCH_SIZE]]
    return taken


def to_head(
    fitted: Regression, shape: tuple[int, ...], block: Linear, scaler: StandardScaler | None
) -> keras.Sequential:
    """Write a regression as a Keras head: pooling, normalisation and one dense layer.

    Args:
        fitted: on `normalise`d rows.
        shape: of one feature: (h, w, c) or (c,).
        block: pooling and normalisation.
        scaler: of ``standardise``; else None.
    """
    layers = vector_layers(shape, block.pooling, block.normalise, scaler)
    head = keras.Sequential([*layers, output_layer(fitted.n_classes)], name="head")
    head.layers[-1].set_weights([fitted.kernel, fitted.bias])
    return head
