"""Temperature scaling: no decision changes, the validation loss does not rise, and it is found again."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import softmax

from graft.training.decision import decide
from graft.training.temperature import BOUNDS, fit_temperature, temper


def draw_logits(seed: int, n_classes: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels of which each class is as frequent as its logits say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, n_classes))
    return logits, np.array([rng.choice(n_classes, p=row) for row in softmax(logits, axis=1)])


def loss(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(scores[np.arange(len(labels)), labels]).mean())


SEEDS, CLASSES = st.integers(0, 2**32 - 1), st.integers(2, 6)


@given(SEEDS, CLASSES, st.floats(0.2, 5))
def test_decisions_stay_and_the_loss_does_not_rise(seed: int, n_classes: int, factor: float) -> None:
    logits, labels = draw_logits(seed, n_classes)
    scores = softmax(logits * factor, axis=1).astype(np.float32)
    assume((scores > 0).all())
    temperature = fit_temperature(scores, labels)
    calibrated = temper(scores, temperature)
    assert BOUNDS[0] <= temperature <= BOUNDS[1]
    np.testing.assert_array_equal(decide(calibrated), decide(scores))
    assert loss(calibrated, labels) <= loss(temper(scores, 1), labels)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)


@given(SEEDS, CLASSES, st.floats(0.5, 2))
def test_calibrated_scores_have_the_temperature_1(seed: int, n_classes: int, factor: float) -> None:
    logits, labels = draw_logits(seed, n_classes)
    scores = softmax(logits * factor, axis=1)
    once = temper(scores, fit_temperature(scores, labels))
    assert fit_temperature(once, labels) == pytest.approx(1, abs=2e-3)


def test_the_factor_of_too_sure_scores_is_found() -> None:
    logits, labels = draw_logits(0, 5, 20_000)
    assert fit_temperature(softmax(3 * logits, axis=1), labels) == pytest.approx(3, rel=0.03)
    assert fit_temperature(softmax(logits / 2, axis=1), labels) == pytest.approx(0.5, rel=0.03)


@given(SEEDS, CLASSES, st.floats(0.3, 3))
def test_the_inverse_gives_the_scores_back(seed: int, n_classes: int, temperature: float) -> None:
    scores = softmax(draw_logits(seed, n_classes)[0], axis=1)
    np.testing.assert_allclose(temper(temper(scores, temperature), 1 / temperature), scores, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_where_all_are_right_nothing_says_how_sure_to_be(n_classes: int) -> None:
    labels = np.arange(12) % n_classes
    assert fit_temperature(np.eye(n_classes)[labels] * 0.5 + 0.5 / n_classes, labels) == 1


def test_certainty_that_was_rounded_to_0_stays_finite() -> None:
    scores = np.array([[0, 1], [0, 1], [1, 0], [0.3, 0.7]], np.float32)
    temperature = fit_temperature(scores, np.array([1, 0, 0, 1]))
    assert temperature > 2
    assert np.isfinite(np.log(temper(scores, temperature))).all()
