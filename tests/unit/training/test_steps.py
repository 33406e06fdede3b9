"""Steps in one call against the same steps one by one."""

from math import prod
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.training import steps
from graft.training.fit import TrainingData, compile_model, fit
from graft.training.steps import MAX_BYTES, count_at_once
from helpers.training import make_schedule, make_training

OPTIONS = {
    "class weights, cosine": {"class_weight": "balanced", "schedule": make_schedule("cosine")},
    "mixup, plateau": {
        "mix": "mixup",
        "schedule": make_schedule("reduce_on_plateau"),
        "optimizer": "rmsprop",
    },
}
ROWS = 23  # five batches of four, and a smaller one


def train(at_once: int, dropout: float, **changes: Any) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Train a network with all that a step can hold: dropout, batch normalisation, a penalty, clipping."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    dense = layers.Dense(6, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.01))
    hidden = [layers.Flatten(), dense, layers.BatchNormalization(), layers.Dropout(dropout)]
    model = keras.Sequential([keras.Input((2, 3)), *hidden, layers.Dense(3, "softmax")])
    x = np.random.default_rng(0).normal(size=(ROWS, 2, 3)).astype(np.float16)
    labels = np.arange(ROWS) % 7 % 3
    params = make_training(**{"optimizer": "adam", "global_clipnorm": 1.0, "epochs": 3, **changes})
    compile_model(model, params, 6, at_once)
    history = fit(model, TrainingData(lambda _, rows: x[rows], labels, (x, labels)), params, 3)
    return model.get_weights(), history


@pytest.mark.parametrize(
    ("name", "large", "dropout"),
    [
        ("class weights, cosine", 2**21, 0.4),
        pytest.param("mixup, plateau", 2**21, 0.4, marks=pytest.mark.long),
        # XLA's dropout draws differently.
        pytest.param("class weights, cosine", 0, 0.0, marks=pytest.mark.long),
        pytest.param("mixup, plateau", 0, 0.0, marks=pytest.mark.long),
    ],
)
def test_many_steps_in_one_call_are_the_steps(
    monkeypatch: pytest.MonkeyPatch, name: str, large: int, dropout: float
) -> None:
    monkeypatch.setattr(steps, "LARGE", large)
    weights, history = train(1, dropout, **OPTIONS[name])
    many, of_many = train(3, dropout, **OPTIONS[name])  # three and two in a call, then the smaller one
    pd.testing.assert_frame_equal(of_many, history, rtol=1e-4)
    for one, other in zip(many, weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("large", [2**21, pytest.param(0, marks=pytest.mark.long)])
def test_the_same_arguments_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    monkeypatch.setattr(steps, "LARGE", large)
    (first, history), (again, of_again) = (train(3, 0.4) for _ in range(2))
    pd.testing.assert_frame_equal(of_again, history, check_exact=True)
    assert all((one == other).all() for one, other in zip(again, first, strict=True))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=3), st.integers(1, 300), st.integers(1, 5000))
def test_what_is_handed_over_at_once_is_bounded(shape: list[int], batch_size: int, n: int) -> None:
    at_once, full = count_at_once(shape, batch_size, n), n // batch_size
    assert 1 <= at_once <= max(full, 1)
    assert at_once == 1 or 4 * prod(shape) * batch_size * (at_once - 1) <= MAX_BYTES
    if 4 * prod(shape) * n <= MAX_BYTES:
        assert at_once == max(full, 1)
