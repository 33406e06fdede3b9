"""Scores that no model gave to an image of its own training: `linear`, by cross-validation."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from graft.config.training import Linear
from graft.methods.linear import Room, choose_grid, fit_features, take_rows, to_rows
from graft.utils.progress import track

FOLDS = 5


@dataclass(frozen=True)
class Embedded:
    """Images by their features.

    Attributes:
        features: (n, h, w, c) or (n, c) float16, which may be memory-mapped.
        labels: (n,) class numbers.
        splits: (n,) train, validation or test.
    """

    features: np.ndarray
    labels: np.ndarray
    splits: np.ndarray


def score_out_of_fold(
    images: Embedded, classes: Sequence[str], block: Linear, room: Room, seed: int
) -> np.ndarray:
    """Score each image by a `linear` that was fitted without it, and without any test image.

    Images of train and validation are scored in stratified folds, those of test by one that was fitted on all
    of these. C is the one that `linear` takes: of its block, or that of the lowest validation log loss.

    Args:
        images: of all splits; test may be empty.
        classes: the labels in class order.
        block: the parameters of `linear`.
        room: for the rows.
        seed: of the folds.

    Returns:
        (n, n_classes) probabilities.

    Raises:
        ValueError: if a class has fewer than two images in train and validation.
    """
    test, known = (np.flatnonzero(chosen) for chosen in (images.splits == "test", images.splits != "test"))
    most = _count_most(images.labels[known], classes)
    folds = StratifiedKFold(min(FOLDS, most), shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of a class with fewer images than folds, some of which lack it
        warnings.simplefilter("ignore", UserWarning)
        parts = [(known[fit], known[held]) for fit, held in folds.split(known, images.labels[known])]
    parts += [(known, test)] * bool(len(test))
    scores = np.empty((len(images.labels), len(classes)))
    with threadpool_limits(1):  # more wait for each other, above all where others compute
        c = _choose_c(images, block, room)
        for fit, held in track(parts, "score", len(parts), "folds"):
            scores[held] = _fit(images, fit, held, block.model_copy(update={"C": c}), room)[0]
    return scores


def _count_most(labels: np.ndarray, classes: Sequence[str]) -> int:
    """Count the images of the largest class, and refuse one that has fewer than two."""
    counts = np.bincount(labels, minlength=len(classes))
    if rare := [label for label, n in zip(classes, counts, strict=True) if n < 2]:
        raise ValueError(
            f"expected two images of each class in train and validation, received fewer of {rare}: add some, "
            "or leave such classes out with split.min_per_class"
        )
    return int(counts.max())


def _choose_c(images: Embedded, block: Linear, room: Room) -> float:
    if block.C is not None:
        return block.C
    train, validation = (np.flatnonzero(images.splits == split) for split in ("train", "validation"))
    history = _fit(images, train, validation, block, room)[1]
    return float(history["C"].iloc[history["val_loss"].argmin()])


def _fit(
    images: Embedded, fit: np.ndarray, held: np.ndarray, block: Linear, room: Room
) -> tuple[np.ndarray, pd.DataFrame]:
    """Fit on some images; the scores of those that were held out, and the history."""
    at = {"train": fit, "validation": held}
    features = {split: take_rows(images.features, rows, room, split) for split, rows in at.items()}
    labels = {split: images.labels[rows] for split, rows in at.items()}
    fitted, scaler, history = fit_features(features, labels, choose_grid(block), block, room)
    return fitted.score(to_rows(features["validation"], block, scaler, room, "held")), history
