"""Sampling: each option's rows, and what they do for a class of which there are twenty times fewer."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.training import Linear
from graft.methods.head_training import head_trainer
from graft.methods.linear import fit_regression
from graft.methods.params import Params
from graft.training.fit import TrainingData
from graft.training.sampling import NEIGHBOURS, count_rows, draw_rows, oversample

LABELS = st.lists(st.integers(1, 9), min_size=2, max_size=5).map(lambda n: np.repeat(np.arange(len(n)), n))
SEEDS = st.integers(0, 2**16)
smote = pytest.mark.skipif(not find_spec("imblearn"), reason="needs graft[smote]")


@given(LABELS, SEEDS)
def test_undersampling_takes_as_many_of_each_class_and_none_twice(labels: np.ndarray, seed: int) -> None:
    rows = draw_rows(labels, "undersample", np.random.default_rng(seed))
    assert len(rows) == len(set(rows)) == count_rows(labels, "undersample")
    assert set(np.bincount(labels[rows])) == {np.bincount(labels).min()}
    assert (rows == draw_rows(labels, "undersample", np.random.default_rng(seed))).all()


def test_undersampling_comes_round_to_all_rows() -> None:
    labels, rng = np.repeat([0, 1], [40, 5]), np.random.default_rng(0)
    assert len(set(np.concatenate([draw_rows(labels, "undersample", rng) for _ in range(60)]))) == 45


@given(LABELS, SEEDS)
def test_each_row_is_there_once_where_nothing_is_left_out(labels: np.ndarray, seed: int) -> None:
    for sampling in ("shuffle", "smote"):
        rows = draw_rows(labels, sampling, np.random.default_rng(seed))
        assert sorted(rows) == list(range(len(labels)))
        assert count_rows(labels, sampling) == len(labels)


@smote
@settings(max_examples=20)
@given(LABELS.map(lambda labels: np.sort(np.tile(labels, 2))), SEEDS, st.sampled_from([(3,), (2, 2, 3)]))
def test_smote_fills_each_class_with_rows_between_its_own(
    labels: np.ndarray, seed: int, shape: tuple[int, ...]
) -> None:
    x = np.random.default_rng(seed).normal(labels.reshape(-1, *[1] * len(shape)), 1, (len(labels), *shape))
    x = x.astype(np.float16)
    rows, numbers = oversample(x, labels, 1.0, seed)
    assert (rows.dtype, rows.shape[1:]) == (x.dtype, shape)
    assert (rows[: len(x)] == x).all()
    assert (numbers[: len(x)] == labels).all()
    assert set(np.bincount(numbers)) == {np.bincount(labels).max()}
    for label in set(labels):
        own, made = x[labels == label], rows[len(x) :][numbers[len(x) :] == label]
        assert ((own.min(0) - 1e-2 <= made) & (made <= own.max(0) + 1e-2)).all()
    again, _ = oversample(x, labels, 1.0, seed)
    assert again.tobytes() == rows.tobytes()


@smote
@pytest.mark.parametrize("n_rare", [2, NEIGHBOURS, NEIGHBOURS + 1])
def test_smote_of_a_class_with_few_neighbours_takes_those_there_are(n_rare: int) -> None:
    labels = np.repeat([0, 1], [30, n_rare])
    rows, numbers = oversample(np.random.default_rng(0).random((30 + n_rare, 4)), labels, 1.0, 0)
    assert np.bincount(numbers).tolist() == [30, 30]
    assert np.isfinite(rows).all()


@smote
def test_smote_of_a_class_of_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 2 training images of each, received a class of 1; set"):
        oversample(np.zeros((4, 2)), np.array([0, 0, 0, 1]), 1.0, 0)


@smote
def test_smote_that_does_not_fit_into_memory_is_refused() -> None:
    maps = np.zeros((100, 5, 5, 64), np.float16)
    with pytest.raises(ValueError, match=r"0\.00 GB for 180 features of shape=\(5, 5, 64\), .* 0\.001;"):
        oversample(maps, np.repeat([0, 1], [90, 10]), 0.001, 0)


def make_set(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features in 12 dimensions of n images, of which each 21st is of the rare class 1."""
    labels = (np.arange(n) % 21 == 20).astype(int)
    return np.random.default_rng(seed).normal(0.7 * labels[:, None], 1.0, (n, 12)), labels


def measure_recall(right: np.ndarray, labels: np.ndarray) -> float:
    return float(right[labels == 1].mean())


class TestARareClassOfOneInTwenty:
    TRAIN, VALIDATION = make_set(420, 0), make_set(2100, 1)

    def regression(self, x: np.ndarray, labels: np.ndarray, **changes: Any) -> float:
        block = Linear(pooling="flatten", normalise="none", C=None, class_weight=None, sampling=None)
        (x_validation, truth) = self.VALIDATION
        block = block.model_copy(update=changes)
        arrays, numbers = {"train": x, "validation": x_validation}, {"train": labels, "validation": truth}
        fitted, _ = fit_regression(arrays, numbers, [0.1], block)
        return measure_recall((x_validation @ fitted.kernel + fitted.bias)[:, 0] > 0, truth)

    @smote
    def test_the_regression_finds_it_more_often(self) -> None:
        plain = self.regression(*self.TRAIN)
        kept = draw_rows(self.TRAIN[1], "undersample", np.random.default_rng(0))
        assert plain < 0.4
        assert self.regression(*oversample(*self.TRAIN, 1.0, 0)) > plain + 0.3
        assert self.regression(*(values[kept] for values in self.TRAIN)) > plain + 0.3

    @smote
    @pytest.mark.long
    def test_a_head_finds_it_more_often(self, params: Params) -> None:
        recalls = {}
        for sampling in ("shuffle", "undersample", "smote"):
            head = {"pooling": "flatten", "normalise": "none", "dense": [8], "dropout": 0.0}
            block = params.two_stage
            block = block.model_copy(
                update={"sampling": sampling, "epochs": 10, "head": block.head.model_copy(update=head)}
            )
            x, labels = self.TRAIN if sampling != "smote" else oversample(*self.TRAIN, 1.0, 0)
            x, (x_validation, truth) = x.astype(np.float32), self.VALIDATION
            data = TrainingData(lambda _, rows, x=x: x[rows], labels, (x_validation, truth))
            features = {"validation": x_validation.astype(np.float32)}
            model, _ = head_trainer(features, data, 2, block)(0, None)
            recalls[sampling] = measure_recall(model.predict(x_validation, verbose=0)[:, 0] > 0.5, truth)
        plain = recalls.pop("shuffle")
        assert plain < 0.5
        assert min(recalls.values()) > plain + 0.1
