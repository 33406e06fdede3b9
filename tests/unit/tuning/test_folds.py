"""Folds: every image is answered once, by a regression that has not seen it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.model_selection import StratifiedKFold

from graft.config.training import Linear
from graft.evaluation.out_of_fold import compare_answers
from graft.methods.linear import Room
from graft.tuning.folds import answer_folds, count_folds


def answer(
    features: np.ndarray, labels: np.ndarray, folder: Path, seed: int = 0, **changes: object
) -> np.ndarray:
    block = Linear.model_validate(
        {"pooling": "avg", "normalise": "l2", "C": 1.0, "class_weight": None, "sampling": None} | changes
    )
    return answer_folds(features, labels, count_folds(labels), block, Room(1.0, folder), seed)


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


@pytest.mark.long
def test_few_pairs_of_equally_good_features_differ_significantly_but_many_in_a_t_test_over_folds(
    tmp_path: Path,
) -> None:
    """The figures of docs/choosing.md: 40 pairs of backbones whose features are drawn alike."""
    rng, centres = np.random.default_rng(0), np.random.default_rng(7).normal(size=(5, 30)) * 0.35
    significant = {"McNemar": 0, "t": 0}
    for _ in range(40):
        labels = rng.permutation(np.arange(225) % 5)
        drawn = [(centres[labels] + rng.normal(size=(225, 30))).astype(np.float32) for _ in range(2)]
        right = [
            [answer(x, labels, tmp_path, seed=i, normalise="none", C=0.05) for i in range(3)] for x in drawn
        ]
        compared = compare_answers({str(i): np.mean(each, axis=0) for i, each in enumerate(right)}, 0.95)
        significant["McNemar"] += [one["test"] for one in compared.values()][1]["p_value"] < 0.05
        significant["t"] += ttest_rel(*(by_fold(each, labels) for each in right)).pvalue < 0.05
    assert significant["McNemar"] <= 4
    assert significant["t"] >= 8


def by_fold(repeats: list[np.ndarray], labels: np.ndarray) -> list[float]:
    """The accuracy of each fold of each repeat."""
    folds = (
        StratifiedKFold(5, shuffle=True, random_state=i).split(labels, labels) for i in range(len(repeats))
    )
    return [
        float(right[scored].mean())
        for right, split in zip(repeats, folds, strict=True)
        for _, scored in split
    ]
