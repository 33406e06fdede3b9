"""graft.methods.weighing: weights of a mean are shares, and on validation it is as good as its best part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.methods.weighing import LEAST, average, weigh


def draw_scores(seed: int, k: int, n: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of k models for n images, and the classes of these."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(n_classes, 0.3), (k, n)), rng.integers(0, n_classes, n)


def log_loss(scores: np.ndarray, y_true: np.ndarray) -> float:
    return float(-np.log(np.maximum(scores[np.arange(len(y_true)), y_true], LEAST)).mean())


@given(st.integers(0, 999), st.integers(1, 6), st.integers(1, 30), st.integers(2, 5))
def test_weights_are_shares_and_the_loss_is_at_most_that_of_the_best_model(
    seed: int, k: int, n: int, n_classes: int
) -> None:
    scores, y_true = draw_scores(seed, k, n, n_classes)
    weights, history = weigh(scores, y_true, "validation")
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    loss = log_loss(average(scores, weights), y_true)
    assert loss == pytest.approx(history["val_loss"].min())
    assert loss <= min(log_loss(each, y_true) for each in scores) + 1e-12
    assert weigh(scores, y_true, "equal")[0].tolist() == [1 / k] * k


@given(st.integers(0, 99))
def test_they_are_about_the_best_that_there_are(seed: int) -> None:
    """The loss is convex in the weights: a fine grid of two of them has the minimum."""
    scores, y_true = draw_scores(seed, 2, 40, 3)
    weights, _ = weigh(scores, y_true, "validation")
    grid = [log_loss(average(scores, np.array([w, 1 - w])), y_true) for w in np.linspace(0, 1, 501)]
    assert log_loss(average(scores, weights), y_true) < min(grid) + 0.01


def test_a_model_that_only_harms_has_no_weight() -> None:
    good, bad = np.tile([0.9, 0.1], (8, 1)), np.tile([0.0, 1.0], (8, 1))
    weights, history = weigh(np.stack([bad, good]), np.zeros(8, int), "validation")
    assert weights.tolist() == [0, 1]
    assert history.loc[0].to_dict() == {
        "heads": 1,
        "val_accuracy": 1,
        "val_loss": pytest.approx(-np.log(0.9)),
    }


def test_a_score_of_0_for_the_true_class_is_no_infinite_loss() -> None:
    weights, history = weigh(np.array([[[1.0, 0.0]]]), np.array([1]), "validation")
    assert weights.tolist() == [1]
    assert np.isfinite(history.to_numpy()).all()
