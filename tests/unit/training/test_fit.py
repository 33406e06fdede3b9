"""Training: order, the best epoch, and each option against its closed form."""

from functools import cache
from itertools import chain
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.training.fit import TrainingData, best_epoch, fit
from graft.training.mixing import mix
from graft.training.objective import targets_for
from helpers.tiers import long_but_for
from helpers.training import EPOCHS, RATE, make_schedule, make_training

ROWS = 22
LABELS = np.array([0] * 5 + [1] * 3 + [2] * 2)


def linear(shape: tuple[int, ...], n_outputs: int) -> keras.Sequential:
    """A linear model that gives each class the same probability: all its weights of an input are 1."""
    activation = "sigmoid" if n_outputs == 1 else "softmax"
    start = "zeros" if n_outputs == 1 else "ones"
    output = keras.layers.Dense(n_outputs, activation, use_bias=False, kernel_initializer=start)
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), output])


@cache
def run(seed: int = 3, **changes: Any) -> tuple[keras.Model, pd.DataFrame, list[tuple[int, list[int]]]]:
    """A linear model on numbers; also the rows that each step asked for."""
    if "schedule" in changes:
        changes["schedule"] = make_schedule(changes["schedule"])
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    x = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    seen: list[tuple[int, list[int]]] = []

    def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
        seen.append((epoch, rows.tolist()))
        return x[rows]

    validation = x, 1 - y  # which gets worse as training gets better
    history = fit(model, TrainingData(inputs, y, validation), make_training(**changes), seed)
    return model, history, seen


def same_weights(first: keras.Model, second: keras.Model) -> bool:
    return all((a == b).all() for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """The inputs, targets and weights of each step that Keras trains."""
    seen: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []
    step = keras.Model.train_on_batch

    def record(model: keras.Model, x: Any, y: Any, sample_weight: Any = None, **options: Any) -> Any:
        seen.append((x, y, sample_weight))
        return step(model, x, y, sample_weight=sample_weight, **options)

    monkeypatch.setattr(keras.Model, "train_on_batch", record)
    return seen


class TestOrderAndEpochs:
    def test_every_row_is_seen_once_an_epoch(self) -> None:
        _, _, seen = run()
        for epoch in range(EPOCHS):
            batches = [rows for at, rows in seen if at == epoch]
            assert [len(rows) for rows in batches] == [4] * 5 + [2]
            assert sorted(chain(*batches)) == list(range(ROWS))
        assert [rows for at, rows in seen if at == 0] != [rows for at, rows in seen if at == 1]

    def test_the_order_depends_on_seed_and_epoch_alone(self) -> None:
        assert run()[2][:12] == run(optimizer="adam", epochs=2)[2]
        assert run()[2][:12] != run(epochs=2, seed=4)[2]

    def test_patience_stops_early_and_restores_the_best(self) -> None:
        model, history, _ = run(patience=2)
        assert list(history["epoch"]) == [1, 2, 3]
        assert best_epoch(history) == 1
        assert same_weights(model, run(epochs=1)[0])

    def test_without_patience_all_epochs_run_and_the_best_is_restored(self) -> None:
        model, history, _ = run()
        assert len(history) == EPOCHS
        assert same_weights(model, run(epochs=1)[0])

    def test_all_of_the_best_epoch_is_restored_and_penalties_count(self) -> None:
        """Moving averages of a batch normalisation, too. Training can go on from there."""
        keras.utils.set_random_seed(0)
        penalty = keras.regularizers.L2(0.1)
        layers = [
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(4, kernel_regularizer=penalty),
        ]
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, "softmax")])
        x = np.random.default_rng(2).normal(2, 3, (len(LABELS), 4)).astype(np.float32)
        for optimizer in ("sgd", "adam"):
            params = make_training(optimizer=optimizer, patience=2)
            wrong = 2 - LABELS
            history = fit(model, TrainingData(lambda _, rows: x[rows], LABELS, (x, wrong)), params, 0)
            assert best_epoch(history) < len(history)
            likelihoods = model.predict(x, verbose=0)[np.arange(len(wrong)), wrong]
            loss = -np.log(likelihoods).mean() + float(sum(model.losses))
            assert history["val_loss"].min() == pytest.approx(loss, rel=1e-5)
            assert float(sum(model.losses)) > 0.01


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(ValueError, match=r"no epoch has a finite .* lower learning_rate=3e\+38"):
        run(learning_rate=3e38)


def test_weights_that_are_not_finite_are_refused_whatever_the_loss() -> None:
    """A ReLU lets no NaN through, so the validation loss of such a model is finite."""
    layers = [keras.layers.Dense(4, "relu", kernel_initializer=lambda *_, **__: np.full((3, 4), np.nan))]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1, "sigmoid")])
    x, y = np.ones((8, 3), np.float32), np.ones(8, int)
    assert np.isfinite(model.predict(x, verbose=0)).all()
    with pytest.raises(ValueError, match=r"weights of its best epoch are not all finite; lower learning_ra"):
        fit(model, TrainingData(lambda _, rows: x[rows], y, (x, y)), make_training(), 0)


class TestLearningRate:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            pytest.param("constant", [1, 1, 1, 1, 1, 1], marks=pytest.mark.long),
            pytest.param("exponential", [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32], marks=pytest.mark.long),
            ("cosine", [(1 + np.cos(np.pi * e / EPOCHS)) / 2 for e in range(EPOCHS)]),
            ("reduce_on_plateau", [1, 1, 1, 1 / 2, 1 / 2, 1 / 4]),  # the validation loss only gets worse
        ],
    )
    def test_its_course_stands_in_the_history(self, schedule: str, expected: list[float]) -> None:
        history = run(schedule=schedule)[1]
        np.testing.assert_allclose(history["learning_rate"], RATE * np.array(expected), rtol=1e-5)
        columns = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
        assert set(history) == columns

    def test_a_loss_that_falls_ever_so_slowly_is_no_plateau(self) -> None:
        model, x, y = linear((3,), 1), np.ones((8, 3), np.float32), np.ones(8, int)
        params = make_training(schedule=make_schedule("reduce_on_plateau"), learning_rate=1e-5)
        history = fit(model, TrainingData(lambda _, rows: x[rows], y, (x, y)), params, 0)
        assert (np.diff(history["val_loss"]) < 0).all()
        assert set(np.diff(history["learning_rate"])) == {0.0}

    def test_a_plateau_and_early_stopping_work_together(self) -> None:
        model, history, _ = run(schedule="reduce_on_plateau", patience=4)
        assert len(history) == 5
        np.testing.assert_allclose(history["learning_rate"], RATE * np.array([1, 1, 1, 1 / 2, 1 / 2]))
        assert same_weights(model, run(epochs=1)[0])

    @pytest.mark.parametrize(
        ("schedule", "rates"),
        [
            pytest.param("constant", np.ones(12), marks=pytest.mark.long),
            pytest.param("exponential", 0.5 ** (np.arange(12) // 2), marks=pytest.mark.long),
            ("cosine", (1 + np.cos(np.pi * np.arange(12) / 12)) / 2),
        ],
    )
    def test_a_step_is_as_long_as_rate_and_clipping_say(self, schedule: str, rates: np.ndarray) -> None:
        """All rows are the same, so all gradients have one direction, and each is clipped."""
        model, x, y = linear((3,), 1), np.ones((8, 3), np.float32), np.ones(8, int)
        params = make_training(schedule=make_schedule(schedule), global_clipnorm=0.01)
        fit(model, TrainingData(lambda _, rows: x[rows], y, (x, y)), params, 0)
        moved = np.linalg.norm(model.get_weights()[0])
        assert moved == pytest.approx(0.01 * RATE * rates.sum(), rel=1e-4)


def one_step(
    x: np.ndarray, labels: np.ndarray, n_outputs: int, **changes: Any
) -> tuple[np.ndarray, pd.DataFrame]:
    """By how much one step on all rows moves the kernel of a linear model."""
    model = linear(x.shape[1:], n_outputs)
    before = model.get_weights()[0]
    params = make_training(**{"epochs": 1, "batch_size": len(x), **changes})
    history = fit(model, TrainingData(lambda _, rows: x[rows], labels, (x, labels)), params, 0)
    return model.get_weights()[0] - before, history


def gradient(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of the cross-entropy of `linear`, before any step."""
    chance = 1 / max(targets.shape[1], 2)
    return x.T @ (chance - targets) / len(x)


class TestLoss:
    X = np.random.default_rng(1).normal(size=(len(LABELS), 4)).astype(np.float32)

    def test_sgd_takes_the_gradient(self) -> None:
        moved, _ = one_step(self.X, LABELS, 3)
        np.testing.assert_allclose(moved, -RATE * gradient(self.X, targets_for(LABELS, 3)), atol=1e-6)

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
    def test_the_first_step_of_the_other_optimizers(self, optimizer: str) -> None:
        """Theirs has the length of the rate; RMSprop's mean square has seen a tenth of the gradient's."""
        x = 1000 * self.X  # so that no gradient is as small as an epsilon
        moved, _ = one_step(x, LABELS, 3, optimizer=optimizer, learning_rate=0.001)
        length = 0.001 * (np.sqrt(10) if optimizer == "rmsprop" else 1)
        decay = 0.001 * 0.004 if optimizer == "adamw" else 0  # of weights that are 1
        expected = -length * np.sign(gradient(x, targets_for(LABELS, 3))) - decay
        np.testing.assert_allclose(moved, expected, atol=5e-7)

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_label_smoothing_spreads_a_share_over_all_classes(self, n_outputs: int) -> None:
        labels = LABELS if n_outputs == 3 else (LABELS > 0).astype(int)
        moved, _ = one_step(self.X, labels, n_outputs, label_smoothing=0.3)
        smooth = 0.7 * targets_for(labels, n_outputs) + 0.3 / max(n_outputs, 2)
        np.testing.assert_allclose(moved, -RATE * gradient(self.X, smooth), atol=1e-6)

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_balanced_class_weights_give_each_class_the_same_say(self, n_outputs: int) -> None:
        labels = LABELS if n_outputs == 3 else (LABELS > 0).astype(int)
        moved, _ = one_step(self.X, labels, n_outputs, class_weight="balanced")
        classes = [labels == label for label in np.unique(labels)]
        targets = targets_for(labels, n_outputs)
        means = [gradient(self.X[rows], targets[rows]) for rows in classes]
        np.testing.assert_allclose(moved, -RATE * np.mean(means, 0), atol=1e-6)

    def test_class_weights_are_in_the_training_loss_only(self) -> None:
        moved, history = one_step(self.X, LABELS, 3, class_weight="balanced")
        outputs = np.exp(self.X @ (1 + moved))
        likelihoods = outputs[np.arange(len(LABELS)), LABELS] / outputs.sum(1)
        assert history["val_loss"][0] == pytest.approx(-np.log(likelihoods).mean(), rel=1e-5)
        assert history["loss"][0] == pytest.approx(np.log(3), rel=1e-5)


class TestSampling:
    def test_balanced_sampling_draws_each_class_equally_often(self) -> None:
        labels = np.array([0] * 90 + [1] * 10)
        drawn: list[list[int]] = [[], [], [], []]
        x = np.zeros((100, 2), np.float32)

        def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
            drawn[epoch] += rows.tolist()
            return x[rows]

        params = make_training(sampling="balanced", epochs=4, batch_size=32)
        fit(linear((2,), 1), TrainingData(inputs, labels, (x, labels)), params, 0)
        assert [len(rows) for rows in drawn] == [100] * 4
        shares = [labels[rows].mean() for rows in drawn]
        assert np.abs(np.array(shares) - 0.5).max() < 0.15  # three standard deviations
        assert len({tuple(sorted(rows)) for rows in drawn}) == 4
        assert set(chain(*drawn)) > set(range(90, 100))

    def test_it_depends_on_seed_and_epoch_alone(self) -> None:
        seen = run(sampling="balanced")[2]
        assert seen[:12] == run(sampling="balanced", epochs=2, optimizer="adam")[2]
        assert seen[:12] != run(sampling="balanced", epochs=2, seed=4)[2]


def made_of(batch: np.ndarray) -> np.ndarray:
    """(n, rows): the share of each row in each row of a batch of mixed `units`."""
    return batch.mean(axis=tuple(range(1, batch.ndim - 1)))


def units(shape: tuple[int, ...]) -> np.ndarray:
    """Row i is the i-th unit vector, or a map of it: when mixed, a row says what it is made of."""
    vectors = np.eye(len(LABELS), dtype=np.float32).reshape(-1, *[1] * len(shape), len(LABELS))
    return np.tile(vectors, (1, *shape, 1))


class TestMix:
    @staticmethod
    def fit(x: np.ndarray, labels: np.ndarray, n_outputs: int, seed: int = 0, **changes: Any) -> pd.DataFrame:
        model, params = linear(x.shape[1:], n_outputs), make_training(**changes)
        return fit(model, TrainingData(lambda _, rows: x[rows], labels, (x, labels)), params, seed)

    @pytest.mark.parametrize(("kind", "shape"), [("mixup", ()), ("mixup", (5, 4)), ("cutmix", (5, 4))])
    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_targets_and_weights_are_mixed_as_the_inputs_are(
        self, steps: list[Any], kind: str, shape: tuple[int, ...], n_outputs: int
    ) -> None:
        labels = LABELS if n_outputs == 3 else (LABELS > 0).astype(int)
        self.fit(units(shape), labels, n_outputs, mix=kind, class_weight="balanced")
        weights = len(labels) / (len(np.unique(labels)) * np.bincount(labels))[labels]
        assert len(steps) == 3 * EPOCHS
        for x, targets, sample_weight in steps:
            np.testing.assert_allclose(targets, made_of(x) @ targets_for(labels, n_outputs), atol=1e-6)
            np.testing.assert_allclose(sample_weight, made_of(x) @ weights, rtol=1e-6)
            assert x.dtype == targets.dtype == np.float32
        pairs = [(made_of(x) > 0).sum(1) for x, _, _ in steps]
        assert set(np.concatenate(pairs)) == {1, 2}
        assert np.mean(np.concatenate(pairs) == 2) > 0.3

    def test_without_it_nothing_is_mixed(self, steps: list[Any]) -> None:
        self.fit(units(()), LABELS, 3)
        for x, targets, sample_weight in steps:
            assert sorted(x.ravel())[-len(x) :] == [1] * len(x)
            np.testing.assert_array_equal(targets, made_of(x) @ targets_for(LABELS, 3))
            assert sample_weight is None

    @pytest.mark.parametrize("kind", long_but_for(["cutmix"], ["mixup", "cutmix"]))
    def test_it_depends_on_seed_epoch_and_step_alone(self, steps: list[Any], kind: str) -> None:
        for options in ({}, {"optimizer": "adam", "epochs": 2}, {"seed": 1, "epochs": 2}):
            self.fit(units((5, 4)), LABELS, 3, mix=kind, **options)
        batches = [x for x, _, _ in steps]
        first, again, other = batches[:6], batches[18:24], batches[24:]
        assert all((x == y).all() for x, y in zip(first, again, strict=True))
        assert not any((x == y).all() for x, y in zip(first, other, strict=True))
        shares = [np.sort(made_of(x).max(1)) for x in batches[:18] if len(x) == 4]
        assert len(np.unique(np.round(shares, 6), axis=0)) > 10  # each step draws its own

    def test_the_same_pairs_and_windows_whatever_the_inputs_are(self, steps: list[Any]) -> None:
        """Pixels and the features of their maps, or vectors, are mixed alike."""
        for shape in ((), (5, 4)):
            self.fit(units(shape), LABELS, 3, mix="mixup")
        for (x, *_), (maps, *_) in zip(steps[:18], steps[18:], strict=True):
            np.testing.assert_allclose(x, made_of(maps), rtol=1e-6)

    def test_it_comes_before_the_embedding(self, steps: list[Any]) -> None:
        x = units((5, 4))
        params = make_training(mix="cutmix")

        def inputs(_: int, rows: np.ndarray) -> np.ndarray:
            return x[rows]

        fit(linear((10,), 3), TrainingData(inputs, LABELS, (made_of(x), LABELS), made_of), params, 0)
        embedded = [batch for batch, _, _ in steps]
        steps.clear()
        self.fit(x, LABELS, 3, mix="cutmix")
        for batch, (maps, *_) in zip(embedded, steps, strict=True):
            np.testing.assert_array_equal(batch, made_of(maps))

    def test_vectors_have_no_windows(self) -> None:
        with pytest.raises(
            ValueError, match=r"mix=cutmix .* \(n, h, w, c\) .*shape=\(4, 10\); set mix to mixup"
        ):
            self.fit(units(()), LABELS, 3, mix="cutmix")

    def test_the_same_arguments_give_the_same_bits(self) -> None:
        first, again = (
            self.fit(units((5, 4)), LABELS, 3, mix="cutmix", sampling="balanced", label_smoothing=0.1)
            for _ in range(2)
        )
        pd.testing.assert_frame_equal(first, again, check_exact=True)

    @given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
    def test_cutmix_pastes_a_window_of_the_partner(self, n: int, height: int, width: int, seed: int) -> None:
        batch = np.arange(n * height * width * 2, dtype=np.float32).reshape(n, height, width, 2)
        mixed, partners, shares = mix(batch, "cutmix", 1.0, np.random.default_rng(seed))
        assert sorted(partners) == list(range(n))
        assert ((mixed == batch) | (mixed == batch[partners])).all()
        for row in np.flatnonzero(partners != np.arange(n)):
            window = (mixed[row] != batch[row]).all(-1)
            assert shares[row] == pytest.approx(1 - window.mean(), abs=1e-6)
            rectangle = np.outer(window.any(1), window.any(0))
            assert (window == rectangle).all()
            for side in (window.any(1), window.any(0)):
                assert np.count_nonzero(np.diff(np.flatnonzero(side)) != 1) == 0

    @pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
    def test_shares_are_of_a_beta_distribution(self, alpha: float) -> None:
        batch, rng = np.zeros((20_000, 1), np.float32), np.random.default_rng(0)
        shares = mix(batch, "mixup", alpha, rng)[2]
        assert shares.mean() == pytest.approx(0.5, abs=0.01)
        assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)

    def test_the_mean_window_is_that_of_the_paper(self) -> None:
        """With alpha 1 and s the root of what a row gives away, a side shows s - s^2 / 4 on average."""
        batch, rng = np.zeros((20_000, 16, 16, 1), np.float32), np.random.default_rng(0)
        given_away = 1 - mix(batch, "cutmix", 1.0, rng)[2]
        s = np.sqrt(np.linspace(0, 1, 10_001))
        assert given_away.mean() == pytest.approx(np.mean((s - s**2 / 4) ** 2), abs=0.01)
