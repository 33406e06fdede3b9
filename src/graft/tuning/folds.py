"""Features and labels -> which images `linear` is right about when it has not seen them."""

import numpy as np
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits  # which scikit-learn requires

from graft.config.training import Linear
from graft.methods.linear import Room, choose_grid, fit_features, take_rows, to_rows
from graft.training.decision import decide

MAX_FOLDS, LEAST = 5, 3  # a fold each to fit, to choose C and to score


def count_folds(labels: np.ndarray, sampling: str | None = None) -> int:
    """Count the folds that all classes have an image for, at most `MAX_FOLDS`.

    Raises:
        ValueError: if a class has fewer than `LEAST` images.
    """
    classes, counts = np.unique(labels, return_counts=True)
    least = LEAST + (sampling == "smote")  # two, to make rows between
    if counts.min() < least:
        raise ValueError(
            f"{classes[counts.argmin()]}: expected at least {least} images of each class in train and "
            f"validation, received {counts.min()}; add some, or leave the class out with split.min_per_class"
        )
    return int(min(MAX_FOLDS, counts.min()))


def answer_folds(
    features: np.ndarray, labels: np.ndarray, n_folds: int, block: Linear, room: Room, seed: int
) -> np.ndarray:
    """Fit `linear` once for each stratified fold, and score the fold's images with it.

    The next fold chooses C, as validation images do; the others are fitted. So each image is scored once, by
    a model that had no part of it.

    Args:
        features: (n, h, w, c) or (n, c).
        labels: (n,).
        n_folds: as `count_folds` has it.
        block: the parameters of `linear`.
        room: for the rows.
        seed: of the folds.

    Returns:
        (n,) bool: whether the answer was right.
    """
    numbers = np.unique(labels, return_inverse=True)[1]
    shuffled = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    folds = [scored for _, scored in shuffled.split(numbers, numbers)]
    right = np.empty(len(numbers), dtype=bool)
    with threadpool_limits(1, "blas"):  # threads on matrices of this size mostly wait for each other
        for i, scored in enumerate(folds):
            validation, *train = folds[i + 1 :] + folds[:i]
            places = {"train": np.concatenate(train), "validation": validation}
            chosen = {split: take_rows(features, at, room, split) for split, at in places.items()}
            truth = {split: numbers[at] for split, at in places.items()}
            fitted, scaler, _ = fit_features(chosen, truth, choose_grid(block), block, room)
            rows = to_rows(take_rows(features, scored, room, "scored"), block, scaler, room, "scored")
            right[scored] = decide(fitted.score(rows)) == numbers[scored]
    return right
