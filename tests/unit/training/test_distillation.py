"""Distillation: the loss against its closed form, and a training run with a teacher against one without."""

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy

from graft.training.fit import TrainingData, fit
from graft.training.objective import Teaching, loss_for, targets_for
from helpers.training import make_training

N = 24
SEEDS = st.integers(0, 2**16)
TEMPERATURES = st.floats(0.5, 20)
X = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)
LABELS = np.arange(N) % 3


def draw(seed: int, n_outputs: int) -> np.ndarray:
    """Scores (5, n_outputs) as a model ends in."""
    logits = np.random.default_rng(seed).normal(0, 2, (5, max(n_outputs, 2)))
    scores = softmax(logits, 1).astype(np.float32)
    return scores[:, 1:] if n_outputs == 1 else scores


def both(scores: np.ndarray) -> np.ndarray:
    return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores


def measure(n_outputs: int, seed: int, temperature: float, alpha: float) -> tuple[float, float, float]:
    """The loss, that of the labels alone, and the mean divergence at the temperature."""
    labels = np.arange(5) % max(n_outputs, 2)
    targets = targets_for(labels, n_outputs)
    teacher, student = draw(seed, n_outputs), draw(seed + 1, n_outputs)
    teaching = Teaching(lambda _, __: teacher, temperature, alpha)
    loss = loss_for(n_outputs, 0.1, teaching)(np.hstack([targets, teacher]), student)
    softened = [softmax(np.log(both(each)) / temperature, 1) for each in (teacher, student)]
    plain = loss_for(n_outputs, 0.1)(targets, student)
    return float(loss), float(plain), float(np.mean(entropy(*softened, axis=1)))


@pytest.mark.parametrize("n_outputs", [1, 3])
@settings(max_examples=30)
@given(seed=SEEDS, temperature=TEMPERATURES, alpha=st.floats(0, 1))
def test_it_is_the_sum_of_both_and_the_temperature_counts_squared(
    n_outputs: int, seed: int, temperature: float, alpha: float
) -> None:
    loss, plain, divergence = measure(n_outputs, seed, temperature, alpha)
    expected = (1 - alpha) * plain + alpha * temperature**2 * divergence
    assert loss == pytest.approx(expected, rel=1e-3, abs=1e-4 * max(1, temperature**2))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_where_there_are_no_answers_it_is_the_loss_of_the_labels(n_outputs: int) -> None:
    targets, student = targets_for(np.arange(5) % max(n_outputs, 2), n_outputs), draw(1, n_outputs)
    taught = loss_for(n_outputs, 0.0, Teaching(lambda _, rows: targets[rows], 4.0, 0.9))
    assert float(taught(targets, student)) == float(loss_for(n_outputs)(targets, student))


def test_a_student_that_agrees_with_a_teacher_of_certain_answers_has_no_loss() -> None:
    answers = np.eye(3, dtype=np.float32)
    loss = loss_for(3, 0.0, Teaching(lambda _, rows: answers[rows], 4.0, 1.0))
    assert float(loss(np.hstack([answers] * 2), answers)) == pytest.approx(0, abs=1e-6)


def train(
    teaching: Teaching | None, labels: np.ndarray = LABELS, truth: np.ndarray = LABELS, **changes: Any
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a small network with dropout on drawn features."""
    keras.utils.set_random_seed(1)
    hidden = [keras.layers.Dense(16, "relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((6,)), *hidden, keras.layers.Dense(3, "softmax")])
    data = TrainingData(lambda _, rows: X[rows], labels, (X, truth), teaching=teaching)
    return model, fit(model, data, make_training(**{"epochs": 4, **changes}), 3)


def same(first: keras.Model, second: keras.Model) -> bool:
    return all((a == b).all() for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@pytest.mark.parametrize(
    "changes", [{}, {"mix": "mixup", "class_weight": "balanced", "label_smoothing": 0.1}]
)
def test_without_a_share_of_the_loss_the_teacher_changes_no_bit(changes: dict[str, Any]) -> None:
    answers = draw(3, 3)[LABELS]
    plain, history = train(None, **changes)
    ignored, again = train(Teaching(lambda _, rows: answers[rows], 3.0, 0.0), **changes)
    heeded, _ = train(Teaching(lambda _, rows: answers[rows], 3.0, 0.5), **changes)
    pd.testing.assert_frame_equal(history, again, check_exact=True)
    assert same(plain, ignored)
    assert not same(plain, heeded)


def test_the_whole_share_leaves_the_labels_out() -> None:
    answers = softmax(X[:, :3], 1).astype(np.float32)
    taught = Teaching(lambda _, rows: answers[rows], 2.0, 1.0)
    assert same(train(taught)[0], train(taught, labels=(LABELS + 1) % 3)[0])


def test_a_student_learns_what_only_the_teacher_knows() -> None:
    """Its labels are noise, the answers a function of the features."""
    answers = softmax(3 * X @ np.random.default_rng(5).normal(size=(6, 3)), 1).astype(np.float32)
    noise, truth = np.random.default_rng(6).integers(0, 3, N), answers.argmax(1)
    teaching = Teaching(lambda _, rows: answers[rows], 2.0, 1.0)
    student, _ = train(teaching, noise, truth, epochs=30, optimizer="adam", learning_rate=0.02)
    assert (student.predict(X, verbose=0).argmax(1) == truth).mean() > 0.8


def test_accuracy_is_of_the_labels() -> None:
    answers = np.eye(3, dtype=np.float32)[(LABELS + 1) % 3]  # all wrong
    _, history = train(Teaching(lambda _, rows: answers[rows], 1.0, 1.0), epochs=60, learning_rate=0.3)
    assert history["accuracy"].iloc[-1] < 0.2
