"""Heads: layers, loss and scores that go with the number of classes; normalisation as in NumPy."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from graft.config.training import Head
from graft.models.heads import build_head, fit_scaler, normalise, pool
from graft.models.serialization import deployable, save_model
from graft.training.decision import class_scores
from graft.training.objective import accuracy, loss_for, targets_for

MAPS = np.random.default_rng(0).normal(3, 2, (300, 2, 3, 4)).astype(np.float16)


PREDICT = """
import sys
from pathlib import Path
import keras
import numpy as np

images = np.load("images.npy")
for file in Path().glob("*.keras"):
    np.save(file.with_suffix(".npy"), keras.saving.load_model(file)(images))
assert "graft" not in sys.modules
"""


def make_params(**changes: Any) -> Head:
    values = {
        "pooling": "flatten",
        "normalise": "standardise",
        "dense": (5,),
        "dropout": 0.5,
        "batch_norm": False,
        "l2": 0.0,
    }
    return Head.model_validate({**values, **changes})


def names(head: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in head.layers]


def test_two_classes_share_one_sigmoid() -> None:
    head = build_head((4,), 2, make_params(), None, 0)
    assert head.layers[-1].activation is keras.activations.sigmoid
    assert head.output_shape == (None, 1)


def test_more_classes_take_a_softmax() -> None:
    head = build_head((4,), 3, make_params(), None, 0)
    assert head.layers[-1].activation is keras.activations.softmax
    np.testing.assert_allclose(np.sum(head(np.ones((2, 4))), 1), 1, rtol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_losses_and_accuracy_of_hard_targets_are_those_of_class_numbers(n_outputs: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, max(n_outputs, 2), 50)
    outputs = rng.dirichlet(np.ones(3), 50)[:, :n_outputs].astype(np.float32)
    targets = targets_for(labels, n_outputs)
    assert (targets.shape, targets.dtype) == (outputs.shape, np.float32)
    likelihoods = class_scores(outputs)[np.arange(50), labels]
    assert float(loss_for(n_outputs)(targets, outputs)) == pytest.approx(-np.log(likelihoods).mean(), 1e-5)
    right = class_scores(outputs).argmax(1) == labels
    np.testing.assert_array_equal(accuracy(targets, outputs), right)
    assert 0 < right.mean() < 1


def test_the_accuracy_of_mixed_targets_is_that_of_their_likeliest_class() -> None:
    outputs = np.array([[0.9], [0.9], [0.1], [0.1]], np.float32)
    targets = np.array([[0.7], [0.3], [0.3], [0.7]], np.float32)
    np.testing.assert_array_equal(accuracy(targets, outputs), [1, 0, 1, 0])
    pair = [np.hstack([1 - values, values]) for values in (targets, outputs)]
    np.testing.assert_array_equal(accuracy(*pair), [1, 0, 1, 0])


def test_scores_have_a_column_a_class() -> None:
    np.testing.assert_allclose(class_scores(np.array([[0.25], [1.0]])), [[0.75, 0.25], [0, 1]])
    three = np.array([[0.2, 0.3, 0.5]])
    assert (class_scores(three) == three).all()


def test_the_layers_in_order() -> None:
    scaler = fit_scaler(MAPS, "flatten")
    head = build_head(MAPS.shape[1:], 3, make_params(dense=(5, 4)), scaler, 0)
    assert names(head) == ["Flatten", "BatchNormalization", "Dense", "Dense", "Dropout", "Dense"]
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


@pytest.mark.parametrize("pooling", ["flatten", "avg", "max"])
def test_rows_of_one_length_are_those_of_numpy(pooling: Any) -> None:
    """The length is that of the pooled vector, whatever the length of the feature."""
    head = build_head(MAPS.shape[1:], 3, make_params(pooling=pooling, normalise="l2"), None, 0)
    assert names(head)[1:3] == ["UnitNormalization", "Rescaling"]
    rows = keras.Sequential(head.layers[:3])(MAPS.astype(np.float32))
    expected = normalise(pool(MAPS.astype(np.float64), pooling), "l2")
    np.testing.assert_allclose(rows, expected, atol=1e-4)
    lengths = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(rows.shape[1]), rtol=1e-5)
    np.testing.assert_allclose(head(7 * MAPS.astype(np.float32)), head(MAPS.astype(np.float32)), atol=1e-5)


def test_a_feature_of_zeros_has_a_score() -> None:
    head = build_head((4,), 3, make_params(normalise="l2"), None, 0)
    np.testing.assert_allclose(head(np.zeros((1, 4))), 1 / 3, rtol=1e-6)


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


def test_l2_is_a_penalty_on_every_kernel_and_on_nothing_else() -> None:
    plain, penalised = (build_head((4,), 3, make_params(dense=(5, 4), l2=l2), None, 0) for l2 in (0, 0.1))
    assert not plain.losses
    dense = [layer for layer in penalised.layers if isinstance(layer, keras.layers.Dense)]
    for layer in dense:
        layer.bias.assign(np.ones(layer.units))
    squares = sum((layer.kernel.numpy() ** 2).sum() for layer in dense)
    assert float(sum(penalised.losses)) == pytest.approx(0.1 * squares, rel=1e-5)
    assert len(dense) == len(penalised.losses) == 3


def test_batch_normalisation_stands_before_each_activation() -> None:
    head = build_head((4,), 3, make_params(dense=(5, 4), batch_norm=True), None, 0)
    hidden = ["Dense", "BatchNormalization", "Activation"]
    assert names(head) == ["Flatten", *hidden, *hidden, "Dropout", "Dense"]
    x = np.random.default_rng(0).normal(5, 3, (500, 4)).astype(np.float32)
    normalised = keras.Sequential(head.layers[:3])(x, training=True)
    np.testing.assert_allclose(np.mean(normalised, 0), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(normalised, 0), 1, atol=1e-2)
    assert head.layers[3].activation is keras.activations.relu
    assert [layer.use_bias for layer in head.layers if isinstance(layer, keras.layers.Dense)] == [0, 0, 1]


def test_a_head_with_everything_is_a_file_that_plain_keras_loads(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
    models = {}
    for how in ("none", "standardise", "l2"):
        scaler = fit_scaler(images, "flatten") if how == "standardise" else None
        head = build_head((8, 8, 3), 3, make_params(normalise=how, batch_norm=True, l2=0.1), scaler, 0)
        head(images, training=True)  # moves the statistics of the batch normalisation
        models[how] = deployable(head)
        for name in (how, "again"):
            save_model(models[how], tmp_path / f"{name}.keras")
        assert (tmp_path / f"{how}.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()
    np.save(tmp_path / "images.npy", images)
    environment = {**os.environ, "HOME": os.devnull}
    subprocess.run([sys.executable, "-I", "-c", PREDICT], cwd=tmp_path, env=environment, check=True)
    for how, model in models.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{how}.npy"), model(images), atol=1e-6)
        loaded = keras.saving.load_model(tmp_path / f"{how}.keras")
        assert float(sum(loaded.losses)) == float(sum(model.losses)) > 0
