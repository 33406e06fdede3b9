"""Methods: each trains, restores its best epoch and repeats itself; inline is two-stage with views."""

import json
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from graft.augment import augment
from graft.backbones import build_backbone, make_embedder
from graft.features.extract import extract_features, make_fingerprint
from graft.images import load_pixels
from graft.methods.outcome import Outcome
from graft.methods.scratch import build_network
from graft.methods.training import best_epoch, fit
from graft.models import save_model
from graft.params import Training
from graft.predictions import read_predictions

METHODS = ["two_stage", "two_stage_views", "inline", "scratch"]
N_TRAIN, N_IMAGES, EPOCHS, STEPS = 20, 40, 3, 3
EMBEDDED = {
    "two_stage": N_IMAGES,
    "two_stage_views": N_IMAGES + 3 * N_TRAIN,
    "inline": N_IMAGES + EPOCHS * N_TRAIN,
    "scratch": 0,
}
MAPPED = {
    "two_stage": {"features.npy"},
    "two_stage_views": {"features.npy"},
    "inline": {"pixels.npy", "features.npy"},
    "scratch": {"pixels.npy"},
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

    def test_the_same_seed_gives_the_same_bits_in_memory_and_on_disk(
        self, trained: Any, train: Any, method: str, tmp_path: Path
    ) -> None:
        first, again = trained[method].outcome, train(method, memory_limit=1e-9, scratch=tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == MAPPED[method]
        pd.testing.assert_frame_equal(first.history, again.history, check_exact=True)
        assert first.scores.tobytes() == again.scores.tobytes()


# In GB: any array of the method would fit on its own, all together do not.
@pytest.mark.parametrize(("method", "memory_limit"), [("two_stage_views", 0.0012), ("inline", 0.0007)])
def test_one_memory_limit_holds_for_all_arrays(
    train: Any, method: str, memory_limit: float, tmp_path: Path
) -> None:
    train(method, memory_limit=memory_limit, scratch=tmp_path, epochs=1)
    assert [file.name for file in tmp_path.iterdir()] == ["features.npy"]


@pytest.mark.parametrize("method", ["two_stage", "scratch"])
def test_another_seed_gives_others(trained: Any, train: Any, method: str) -> None:
    assert trained[method].outcome.scores.tobytes() != train(method, seed=1, epochs=1).scores.tobytes()


class TestIdentity:
    """The idea graft stands on: the same views, batches and head, but embedded once."""

    @pytest.fixture
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
        """The inputs and class numbers of each step that Keras trains."""
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        step = keras.Model.train_on_batch

        def record(model: keras.Model, x: np.ndarray, y: np.ndarray, **options: Any) -> Any:
            seen.append((x, y))
            return step(model, x, y, **options)

        monkeypatch.setattr(keras.Model, "train_on_batch", record)
        return seen

    @pytest.mark.filterwarnings("ignore:precision=bfloat16")  # slow without the instructions, but right
    @pytest.mark.parametrize(
        ("standardise", "precision"), [(True, "float32"), (False, "float32"), (True, "bfloat16")]
    )
    def test_inline_is_two_stage_with_as_many_views_as_epochs(
        self,
        train: Any,
        steps: list[tuple[np.ndarray, np.ndarray]],
        params: Any,
        row: Any,
        images: Path,
        manifest: pd.DataFrame,
        tmp_path: Path,
        standardise: bool,
        precision: str,
    ) -> None:
        backbone = build_backbone(row, "random", 0, precision)
        fingerprint = make_fingerprint(backbone, row, "random", precision, params.augmentation)
        features, store = tmp_path / "features", tmp_path / "store"
        extract_features(images, manifest, backbone, fingerprint, EPOCHS, store, None, features)
        head = {**params.inline.head.model_dump(), "standardise": standardise}

        inline = train("inline", embed=make_embedder(backbone, row.batch_size), head=head)
        cached = train("two_stage_views", features=features, head=head)

        assert len(steps) == 2 * EPOCHS * STEPS
        for (x, y), (x_cached, y_cached) in zip(
            steps[: EPOCHS * STEPS], steps[EPOCHS * STEPS :], strict=True
        ):
            assert (x.astype(np.float16) == x_cached).all()
            assert (y == y_cached).all()
        # The cache rounds a feature to 11 significant bits, so to 2**-11 of itself, up or down. A head
        # that sums many of them sees less than that, and nine steps of training do not add it up.
        tolerance = {"rtol": 2**-11, "atol": 2**-11}
        pd.testing.assert_frame_equal(inline.history, cached.history, **tolerance)
        np.testing.assert_allclose(inline.scores, cached.scores, **tolerance)
        assert list(inline.rows["key"]) == list(cached.rows["key"])

    @pytest.mark.parametrize("standardise", [True, False])
    def test_an_inline_epoch_embeds_the_views_of_its_training_images_and_nothing_else(
        self,
        train: Any,
        params: Any,
        row: Any,
        images: Path,
        manifest: pd.DataFrame,
        backbone: Any,
        standardise: bool,
    ) -> None:
        embed, seen = make_embedder(backbone, row.batch_size), []

        def recording(pixels: np.ndarray) -> np.ndarray:
            seen.append(pixels)
            return embed(pixels)

        train("inline", embed=recording, head={**params.inline.head.model_dump(), "standardise": standardise})
        keys = {split: list(rows["key"]) for split, rows in manifest.groupby("split")}
        once = keys["validation"] + keys["test"] + (keys["train"] if standardise else [])
        expected = [load_pixels(images, once, row.image_size)]
        plain = load_pixels(images, keys["train"], row.image_size)
        for epoch in range(EPOCHS):
            order = np.random.default_rng((0, epoch)).permutation(N_TRAIN)
            chosen = [keys["train"][i] for i in order]
            expected.append(augment(plain[order], chosen, [epoch + 1] * N_TRAIN, params.augmentation))
        epochs = np.reshape([len(batch) for batch in seen[-EPOCHS * STEPS :]], (EPOCHS, STEPS))
        assert (epochs.sum(axis=1) == N_TRAIN).all()
        np.testing.assert_array_equal(np.concatenate(seen), np.concatenate(expected))


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


def dense(units: int) -> dict[str, Any]:
    return {"Dense": {"units": units, "activation": "relu"}}


def convolution(filters: int) -> dict[str, Any]:
    return {"Conv2D": {"filters": filters, "kernel_size": 3, "activation": "relu"}}


CNN = [
    {"Rescaling": {"scale": 1 / 255}},
    convolution(32),
    convolution(64),
    {"MaxPooling2D": {}},
    {"Flatten": {}},
    dense(128),
    dense(64),
]


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

    @pytest.mark.parametrize(
        ("layers", "size", "channels", "parameters"),
        [
            (CNN, 28, 1, 1_207_498),
            (CNN, 32, 3, 1_634_058),
            ([{"Flatten": {}}, dense(128), dense(128)], 32, 3, 411_146),
        ],
        ids=["fashion-mnist-cnn", "cifar10-cnn", "cifar10-dense"],
    )
    def test_the_published_networks(
        self, layers: list[dict[str, Any]], size: int, channels: int, parameters: int
    ) -> None:
        network = build_network(layers, size, 10, 0, channels)
        assert network.input_shape == (None, size, size, channels)
        assert network.count_params() == parameters

    @pytest.mark.parametrize("size", [8, 28])
    def test_gray_images_stay_one_channel_from_the_pixels_to_the_model_file(
        self, train: Any, images: Any, tmp_path: Path, size: int
    ) -> None:
        outcome = train("scratch", color_mode="grayscale", image_size=size, epochs=2)
        keys = list(outcome.rows["key"])
        pixels = load_pixels(images, keys, size, color_mode="grayscale").astype(np.float32)
        assert pixels.shape == (len(keys), size, size, 1)
        for name in ("first", "second"):
            save_model(outcome.model, tmp_path / name / "model.keras")
        first, second = (tmp_path / name / "model.keras" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        loaded = keras.saving.load_model(first)
        assert loaded.input_shape == (None, None, None, 1)
        np.testing.assert_allclose(loaded(pixels), outcome.scores, atol=1e-4)
        again = train("scratch", color_mode="grayscale", image_size=size, epochs=2, memory_limit=1e-9)
        assert again.scores.tobytes() == outcome.scores.tobytes()

    def test_its_model_takes_the_pixels(self, trained: Any, images: Any) -> None:
        outcome = trained["scratch"].outcome
        pixels = load_pixels(images, list(outcome.rows["key"]), 16).astype(np.float32)
        np.testing.assert_allclose(outcome.model(pixels), outcome.scores, atol=1e-4)
