"""Methods: each trains, restores its best epoch and repeats itself; inline is two-stage with views."""

import json
from functools import cache
from itertools import chain
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from graft.images import load_pixels
from graft.methods.outcome import Outcome
from graft.methods.scratch import build_network
from graft.methods.training import best_epoch, fit
from graft.params import Training
from graft.predictions import read_predictions

METHODS = ["two_stage", "two_stage_views", "inline", "scratch"]
N_TRAIN, N_IMAGES, EPOCHS = 20, 40, 3
EMBEDDED = {
    "two_stage": N_IMAGES,
    "two_stage_views": N_IMAGES + 3 * N_TRAIN,
    "inline": N_IMAGES + EPOCHS * N_TRAIN,
    "scratch": 0,
}
TRAINING = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 6, "batch_size": 4, "patience": None}


def losses(outcome: Outcome) -> np.ndarray:
    """The validation loss that the scores amount to."""
    rows = (outcome.rows["split"] == "validation").to_numpy()
    numbers = np.searchsorted(outcome.classes, outcome.rows["label"][rows])
    return -np.log(outcome.scores[rows][np.arange(rows.sum()), numbers]).mean()


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_history(self, trained: Any, method: str) -> None:
        history = pd.read_csv(trained[method].history)
        assert set(history) == {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
        assert list(history["epoch"]) == [1, 2, 3]
        assert np.isfinite(history.to_numpy()).all()

    def test_the_best_epoch_is_restored(self, trained: Any, method: str) -> None:
        outcome = trained[method].outcome
        assert losses(outcome) == pytest.approx(outcome.history["val_loss"].min(), rel=1e-3)

    def test_predictions_and_facts(self, trained: Any, manifest: pd.DataFrame, method: str) -> None:
        predictions, facts = read_predictions(trained[method].predictions)
        expected = manifest[manifest["split"] != "train"]
        assert dict(zip(predictions["key"], predictions["y_true"], strict=True)) == dict(
            zip(expected["key"], expected["label"], strict=True)
        )
        assert predictions["split"].value_counts().to_dict() == {"validation": 10, "test": 10}
        assert facts["method"] == method
        assert facts["n_seen_train"] == N_TRAIN
        assert facts["images_embedded"] == EMBEDDED[method]
        assert facts["backbone"] == ("none" if method == "scratch" else "vgg16")
        assert facts["pretrained"] is False
        assert facts["model_bytes"] == trained[method].model.stat().st_size
        assert facts["epochs"] == EPOCHS
        assert facts["best_epoch"] == best_epoch(trained[method].outcome.history)
        assert facts["trainable_params"] <= facts["total_params"]

    def test_timing_stands_apart(self, trained: Any, method: str) -> None:
        timing = json.loads(trained[method].timing.read_text())
        assert set(timing) == {"seconds_preparation", "seconds_training"}
        assert "seconds" not in json.dumps(read_predictions(trained[method].predictions)[1])

    def test_the_same_seed_gives_the_same_bits(self, trained: Any, train: Any, method: str) -> None:
        first, again = trained[method].outcome, train(method)
        pd.testing.assert_frame_equal(first.history, again.history, check_exact=True)
        assert first.scores.tobytes() == again.scores.tobytes()


@pytest.mark.parametrize("method", ["two_stage", "scratch"])
def test_another_seed_gives_others(trained: Any, train: Any, method: str) -> None:
    assert trained[method].outcome.scores.tobytes() != train(method, seed=1, epochs=1).scores.tobytes()


def test_inline_is_two_stage_with_as_many_views_as_epochs(trained: Any) -> None:
    """The idea graft stands on: the same views, batches and head, but embedded once."""
    inline, cached = (trained[method].outcome for method in ("inline", "two_stage_views"))
    pd.testing.assert_frame_equal(inline.history, cached.history, rtol=0, atol=1e-3)
    np.testing.assert_allclose(inline.scores, cached.scores, atol=5e-3)
    assert list(inline.rows["key"]) == list(cached.rows["key"])


def test_views_are_not_the_plain_images(trained: Any) -> None:
    views, plain = (trained[method].outcome.history for method in ("two_stage_views", "two_stage"))
    assert np.abs(views["loss"] - plain["loss"]).max() > 1e-3


def test_views_are_taken_in_turn(train: Any) -> None:
    """With more epochs than views the first view comes again; it does not fail."""
    assert len(train("two_stage_views", epochs=5).history) == 5


def test_test_images_do_not_reach_the_training(trained: Any, manifest: pd.DataFrame) -> None:
    outcome = trained["two_stage"].outcome
    assert set(outcome.rows["split"]) == {"validation", "test"}
    assert not set(outcome.rows["key"]) & set(manifest.loc[manifest["split"] == "train", "key"])


class TestTraining:
    @staticmethod
    @cache
    def train(**changes: Any) -> tuple[keras.Model, pd.DataFrame, list[tuple[int, list[int]]]]:
        """A linear model on numbers; also the rows that each step asked for."""
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
        x = np.random.default_rng(0).normal(size=(22, 3)).astype(np.float32)
        y = (x[:, 0] > 0).astype(np.int64)
        seen: list[tuple[int, list[int]]] = []

        def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
            seen.append((epoch, rows.tolist()))
            return x[rows]

        validation = x, 1 - y  # which gets worse as training gets better
        history = fit(model, inputs, y, validation, Training(**{**TRAINING, **changes}), 3)
        return model, history, seen

    def test_every_row_is_seen_once_an_epoch(self) -> None:
        _, _, seen = self.train()
        for epoch in range(6):
            batches = [rows for at, rows in seen if at == epoch]
            assert [len(rows) for rows in batches] == [4] * 5 + [2]
            assert sorted(chain(*batches)) == list(range(22))
        assert [rows for at, rows in seen if at == 0] != [rows for at, rows in seen if at == 1]

    def test_the_order_depends_on_seed_and_epoch_alone(self) -> None:
        assert self.train()[2][:12] == self.train(optimizer="adam", epochs=2)[2]

    def test_patience_stops_early_and_restores_the_best(self) -> None:
        model, history, _ = self.train(patience=2)
        assert list(history["epoch"]) == [1, 2, 3]
        assert best_epoch(history) == 1
        once, _, _ = self.train(epochs=1)
        assert all((a == b).all() for a, b in zip(model.get_weights(), once.get_weights(), strict=True))

    def test_without_patience_all_epochs_run_and_the_best_is_restored(self) -> None:
        model, history, _ = self.train()
        assert len(history) == 6
        once, _, _ = self.train(epochs=1)
        assert all((a == b).all() for a, b in zip(model.get_weights(), once.get_weights(), strict=True))


def test_a_training_that_diverges_says_so(train: Any) -> None:
    with pytest.raises(ValueError, match=r"no epoch has a finite .* lower learning_rate=1e\+30"):
        train("two_stage", optimizer="sgd", learning_rate=1e30, epochs=2)


class TestScratch:
    @pytest.mark.parametrize(
        ("layers", "message"),
        [
            (
                [{"Flatten": {}}, {"Conv3000": {}}],
                r"scratch\.layers\[1\]: .*keras\.layers, received 'Conv3000'",
            ),
            ([{"Dense": {"unit": 3}}], r"scratch\.layers\[0\]: Dense\({'unit': 3}\) does not work: .*unit"),
            ([{"Dense": {"units": -1}}], r"scratch\.layers\[0\]: Dense\({'units': -1}\) does not work: ."),
            (
                [{"Flatten": {}}, {"MaxPooling2D": {}}],
                r"scratch\.layers\[1\]: MaxPooling2D\({}\) does not work: .*ndim",
            ),
        ],
    )
    def test_a_layer_that_cannot_be_built(self, layers: list[dict[str, Any]], message: str) -> None:
        with pytest.raises(ValueError, match=f"(?s){message}"):
            build_network(layers, 16, 3, 0)

    def test_a_network_that_does_not_end_in_a_vector(self) -> None:
        with pytest.raises(ValueError, match=r"scratch\.layers: .*shape=\(14, 14, 2\); end the .*Flatten"):
            build_network([{"Conv2D": {"filters": 2, "kernel_size": 3}}], 16, 3, 0)

    def test_the_layers_of_params_yaml(self, params: Any) -> None:
        network = build_network(params.scratch.layers, 16, 2, 0)
        assert [type(layer).__name__ for layer in network.layers] == [
            "Rescaling",
            "Conv2D",
            "Flatten",
            "Dropout",
            "Dense",
        ]
        assert network.output_shape == (None, 1)

    def test_its_model_takes_the_pixels(self, trained: Any, images: Any) -> None:
        outcome = trained["scratch"].outcome
        pixels = load_pixels(images, list(outcome.rows["key"]), 16).astype(np.float32)
        np.testing.assert_allclose(outcome.model(pixels), outcome.scores, atol=1e-4)
