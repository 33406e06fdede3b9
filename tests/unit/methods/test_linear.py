"""Linear: the Keras head is scikit-learn's regression, and C is the one that validates best."""

import warnings
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression

from graft.config.training import Linear
from graft.methods.linear import GRID, fit_regression
from graft.models.heads import normalise

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 7))
ROWS = arrays(np.float64, SHAPES, elements=st.floats(-9, 9, width=16))


def make_block(**changes: Any) -> Linear:
    return Linear(
        **{
            "pooling": "flatten",
            "normalise": "l2",
            "C": None,
            "class_weight": None,
            "sampling": None,
            **changes,
        }
    )


def make_data(n: int, shape: tuple[int, ...], n_classes: int, seed: int = 0) -> tuple[Any, Any]:
    """Features of `n` training and `n` validation images, float16, that tell the classes apart a little."""
    rng = np.random.default_rng(seed)
    labels = {split: np.arange(n) % n_classes for split in ("train", "validation")}
    features = {
        split: (rng.random((n, *shape)) + numbers.reshape(-1, *[1] * len(shape)) / 9).astype(np.float16)
        for split, numbers in labels.items()
    }
    return features, labels


@given(ROWS)
def test_l2_gives_rows_one_length_and_leaves_zeros(rows: np.ndarray) -> None:
    lengths = np.linalg.norm(normalise(rows, "l2"), axis=1)
    expected = np.where(np.linalg.norm(rows, axis=1) > 0, np.sqrt(rows.shape[1]), 0)
    np.testing.assert_allclose(lengths, expected, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("shape", [(2, 2, 5), (6,)])
@pytest.mark.parametrize("pooling", ["flatten", "avg", "max"])
@pytest.mark.parametrize("how", ["l2", "standardise", "none"])
def test_the_head_gives_the_scores_of_the_regression(
    n_classes: int, shape: tuple[int, ...], pooling: str, how: str
) -> None:
    from graft.methods.linear import to_head
    from graft.models.heads import fit_scaler, pool
    from graft.training.decision import class_scores

    features, labels = make_data(60, shape, n_classes)
    block = make_block(pooling=pooling, normalise=how)
    scaler = fit_scaler(features["train"], pooling) if how == "standardise" else None
    x = {s: normalise(pool(f.astype(np.float64), pooling), how, scaler) for s, f in features.items()}
    head = to_head(fit_regression(x, labels, [1.0], block)[0], shape, block, scaler)
    plain = LogisticRegression(C=1.0, max_iter=1000).fit(x["train"], labels["train"])
    scores = class_scores(head.predict(features["validation"].astype(np.float32), verbose=0))
    np.testing.assert_allclose(scores, plain.predict_proba(x["validation"]), atol=2e-4)


def test_a_row_of_zeros_has_a_score() -> None:
    from graft.methods.linear import to_head

    features, labels = make_data(20, (4,), 2)
    x = {split: normalise(values.astype(np.float64), "l2") for split, values in features.items()}
    head = to_head(fit_regression(x, labels, [1.0], make_block())[0], (4,), make_block(), None)
    assert np.isfinite(head.predict(np.zeros((1, 4), np.float32), verbose=0)).all()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_with_fewer_rows_than_numbers_it_is_the_same_regression(n_classes: int) -> None:
    x, labels = make_data(24, (90,), n_classes)
    x = {split: values.astype(np.float64) for split, values in x.items()}
    fitted, _ = fit_regression(x, labels, [0.1], make_block())
    plain = LogisticRegression(C=0.1, max_iter=1000).fit(x["train"], labels["train"])
    np.testing.assert_allclose(fitted.kernel.T, plain.coef_, atol=2e-3)
    np.testing.assert_allclose(fitted.bias, plain.intercept_, atol=2e-2)


@pytest.mark.parametrize("seed", range(5))
def test_c_is_the_one_of_the_lowest_validation_loss(seed: int) -> None:
    features, labels = make_data(30, (8,), 3, seed)
    rng = np.random.default_rng(seed)
    x = {split: normalise(rng.normal(values.astype(np.float64)), "l2") for split, values in features.items()}
    fitted, history = fit_regression(x, labels, GRID, make_block())
    tried = history["C"].tolist()
    assert tried == list(GRID[: len(tried)])
    best = history["val_loss"].argmin()
    assert len(tried) == min(best + 3, len(GRID))
    again, _ = fit_regression(x, labels, [tried[best]], make_block())
    np.testing.assert_allclose(fitted.kernel, again.kernel, atol=2e-3)


def test_half_decades_from_a_ten_thousandth_to_a_thousand() -> None:
    assert GRID[:4] == (0.0001, 0.0003, 0.001, 0.003)
    assert GRID[-1] == 1000


def test_a_rare_class_weighs_more_where_classes_are_balanced() -> None:
    rng = np.random.default_rng(0)
    labels = {"train": np.repeat([0, 1], [90, 10]), "validation": np.repeat([0, 1], [90, 10])}
    x = {split: rng.normal(numbers[:, None], 1.5, (100, 3)) for split, numbers in labels.items()}
    rare = [
        float((x["validation"] @ f.kernel + f.bias > 0).mean())
        for f in (fit_regression(x, labels, [1.0], make_block(class_weight=w))[0] for w in (None, "balanced"))
    ]
    assert rare[1] > rare[0] + 0.1


def test_a_given_c_is_taken_and_the_same_arguments_give_the_same_bytes(train: Any, tmp_path: Any) -> None:
    from graft.methods.outcome import write_model

    digests = set()
    for name in ("first", "second"):
        outcome = train("linear", C=0.03)
        assert outcome.history["C"].tolist() == [0.03]
        facts = write_model(outcome, tmp_path / name, "linear", "demo")
        assert facts["epochs"] is facts["best_epoch"] is None
        digests.add(sha256((tmp_path / name / "model.keras").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_too_few_iterations_are_no_silent_fault() -> None:
    """The limit is far above what features need; where it is met, scikit-learn says so."""
    features, labels = make_data(40, (6,), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_regression({s: f.astype(np.float64) for s, f in features.items()}, labels, [1.0], make_block())
