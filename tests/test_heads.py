"""Heads: layers, loss and scores that go with the number of classes; standardisation as scikit-learn's."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from graft.heads import build_head, class_scores, fit_scaler, loss_for
from graft.params import Head

MAPS = np.random.default_rng(0).normal(3, 2, (300, 2, 3, 4)).astype(np.float16)


def make_params(**changes: Any) -> Head:
    values = {"pooling": "flatten", "standardise": True, "dense": (5,), "dropout": 0.5}
    return Head.model_validate({**values, **changes})


def names(head: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in head.layers]


def test_two_classes_share_one_sigmoid() -> None:
    head = build_head((4,), 2, make_params(), None, 0)
    assert head.layers[-1].activation is keras.activations.sigmoid
    assert head.output_shape == (None, 1)
    assert loss_for(1) == "binary_crossentropy"


def test_more_classes_take_a_softmax() -> None:
    head = build_head((4,), 3, make_params(), None, 0)
    assert head.layers[-1].activation is keras.activations.softmax
    np.testing.assert_allclose(np.sum(head(np.ones((2, 4))), 1), 1, rtol=1e-6)
    assert loss_for(3) == "sparse_categorical_crossentropy"


def test_scores_have_a_column_a_class() -> None:
    np.testing.assert_allclose(class_scores(np.array([[0.25], [1.0]])), [[0.75, 0.25], [0, 1]])
    three = np.array([[0.2, 0.3, 0.5]])
    assert (class_scores(three) == three).all()


def test_the_layers_in_order() -> None:
    scaler = fit_scaler(MAPS, "flatten")
    head = build_head(MAPS.shape[1:], 3, make_params(dense=(5, 4)), scaler, 0)
    assert names(head) == ["Flatten", "Normalization", "Dense", "Dense", "Dropout", "Dense"]
    assert [layer.units for layer in head.layers if isinstance(layer, keras.layers.Dense)] == [5, 4, 3]


def test_nothing_but_the_output_is_a_head_too() -> None:
    head = build_head((4,), 3, make_params(dense=(), dropout=0), None, 0)
    assert names(head) == ["Flatten", "Dense"]


@pytest.mark.parametrize(
    ("pooling", "reduce"),
    [
        ("flatten", lambda x: x.reshape(len(x), -1)),
        ("avg", lambda x: x.mean((1, 2))),
        ("max", lambda x: x.max((1, 2))),
    ],
)
def test_standardised_features_are_those_of_scikit_learn(pooling: str, reduce: Any) -> None:
    pooled = reduce(MAPS.astype(np.float64))
    expected = StandardScaler().fit(pooled)
    scaler = fit_scaler(MAPS, pooling)
    np.testing.assert_allclose(scaler.mean_, expected.mean_)
    np.testing.assert_allclose(scaler.scale_, expected.scale_)
    head = build_head(MAPS.shape[1:], 3, make_params(pooling=pooling), scaler, 0)
    standardise = keras.Sequential(head.layers[:2])
    result = standardise(MAPS.astype(np.float32))
    np.testing.assert_allclose(result, expected.transform(pooled), atol=1e-4)


def test_a_constant_dimension_does_not_ruin_unseen_images() -> None:
    train = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float16)
    train[:, 1] = 0
    scaler = fit_scaler(train, "flatten")
    assert scaler.scale_[1] == 1
    head = build_head((3,), 2, make_params(), scaler, 0)
    unseen = np.array([[0, 0.5, 0]], np.float32)
    np.testing.assert_allclose(keras.Sequential(head.layers[:2])(unseen)[0, 1], 0.5)


def test_vectors_need_no_pooling() -> None:
    vectors = MAPS[:, 0, 0]
    scaler = fit_scaler(vectors, "max")
    np.testing.assert_allclose(scaler.mean_, vectors.astype(float).mean(0))
    assert build_head((4,), 2, make_params(pooling="max"), scaler, 0).output_shape == (None, 1)


def test_features_may_be_mapped_from_a_file(tmp_path: Any) -> None:
    np.save(tmp_path / "f.npy", MAPS)
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    np.testing.assert_array_equal(fit_scaler(mapped, "avg").mean_, fit_scaler(MAPS, "avg").mean_)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (build_head((4,), 3, make_params(), None, seed).get_weights() for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).all()


def test_only_dense_layers_are_trained() -> None:
    head = build_head(MAPS.shape[1:], 3, make_params(), fit_scaler(MAPS, "flatten"), 0)
    assert sum(w.numpy().size for w in head.trainable_weights) == 24 * 5 + 5 + 5 * 3 + 3
