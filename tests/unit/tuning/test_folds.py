"""Folds: every image is answered once, by a regression that has not seen it."""

from pathlib import Path

import numpy as np
import pytest

from graft.config.training import Linear
from graft.methods.linear import Room
from graft.tuning.folds import answer_folds, count_folds


def answer(features: np.ndarray, labels: np.ndarray, folder: Path, **changes: object) -> np.ndarray:
    block = Linear.model_validate(
        {"pooling": "avg", "normalise": "l2", "C": 1.0, "class_weight": None} | changes
    )
    return answer_folds(features, labels, count_folds(labels), block, Room(1.0, folder), seed=0)


@pytest.mark.parametrize("how", ["l2", "standardise", "none"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_that_lie_apart_are_told_apart(how: str, n_classes: int, tmp_path: Path) -> None:
    labels = np.array([*"abc"])[np.arange(60) % n_classes]
    centres = 5 * np.eye(4)[np.unique(labels, return_inverse=True)[1]]
    features = (centres + np.random.default_rng(0).normal(size=(60, 4)) / 9).astype(np.float32)
    assert answer(features, labels, tmp_path, normalise=how, C=None).all()


def test_what_only_memory_could_know_is_not_known(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(["a", "b"], 50))
    assert answer(np.eye(100, dtype=np.float32), labels, tmp_path).mean() < 0.7


def test_the_order_of_the_classes_names_does_not_matter(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    features, numbers = rng.normal(size=(60, 5)).astype(np.float32), rng.permutation(np.arange(60) % 3)
    named = [
        answer(features, np.array(names)[numbers], tmp_path) for names in (["a", "b", "c"], ["x", "y", "z"])
    ]
    np.testing.assert_array_equal(*named)


def test_a_class_needs_an_image_to_fit_one_to_validate_and_one_to_score() -> None:
    assert [count_folds(np.repeat(["a", "b"], [9, n])) for n in (3, 4, 5, 6)] == [3, 4, 5, 5]
    with pytest.raises(ValueError, match=r"b: expected at least 3 images .* received 2"):
        count_folds(np.repeat(["a", "b"], [9, 2]))
