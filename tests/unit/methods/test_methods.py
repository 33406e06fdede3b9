"""Methods: each trains, restores its best epoch and repeats itself; inline is two-stage with views."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from graft.data.augmentation import augment, augment_features
from graft.data.decoding import load_pixels
from graft.evaluation.metrics import evaluate
from graft.evaluation.predictions import read_predictions
from graft.features.embedding import Embedding
from graft.features.extraction import extract
from graft.features.format import plain_rows, view_rows
from graft.features.views import ViewEmbedding
from graft.methods.outcome import Outcome, describe
from graft.methods.registry import METHODS
from graft.models.backbones import Backbone, make_embedder
from graft.models.card import read_card
from graft.models.networks import build_network
from graft.models.serialization import save_model
from graft.training.fit import best_epoch, draw_batches
from graft.training.steps import Batch
from graft.utils.files import digest
from helpers.outcomes import write_outcome
from helpers.tiers import long_but_for
from helpers.training import KERAS_METHODS, TUNED

N_TRAIN, N_IMAGES, EPOCHS, ANSWERED = 20, 40, 3, 2
STEPS = {"two_stage_views": 2, "inline": 3}


def embedded(method: str) -> int:
    """How many images run through the backbone for a method."""
    viewed = {"two_stage_views": EPOCHS, "inline": EPOCHS, "distilled": ANSWERED}
    return METHODS[method].has_backbone * N_IMAGES + viewed.get(method, 0) * N_TRAIN


def mapped(method: str) -> set[str]:
    """The files of a method's arrays where they are larger than memory."""
    pixels = set() if METHODS[method].features else {"pixels.npy"}
    teacher = {"teacher.npy"} if method == "distilled" else set()
    return pixels | teacher | ({"features.npy"} if METHODS[method].has_backbone else set())


def losses(outcome: Outcome) -> np.ndarray:
    """The validation loss that the scores amount to."""
    rows = (outcome.rows["split"] == "validation").to_numpy()
    numbers = np.searchsorted(outcome.classes, outcome.rows["label"][rows])
    return -np.log(outcome.scores[rows][np.arange(rows.sum()), numbers]).mean()


@pytest.mark.parametrize("method", KERAS_METHODS)
class TestEveryMethod:
    def test_history(self, trained: Any, method: str) -> None:
        history = pd.read_csv(trained[method].history)
        assert set(history) == {"epoch", "accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"}
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
        assert facts["images_embedded"] == embedded(method)
        assert facts["backbone"] == ("vgg16" if METHODS[method].has_backbone else "none")
        assert facts["pretrained"] is False
        assert facts["model_bytes"] == trained[method].model.stat().st_size
        assert facts["epochs"] == EPOCHS
        assert facts["best_epoch"] == best_epoch(trained[method].outcome.history)
        assert facts["trainable_params"] <= facts["total_params"]

    def test_timing_stands_apart(self, trained: Any, method: str) -> None:
        assert set(trained[method].outcome.timing) == {"seconds_preparation", "seconds_training"}
        assert "seconds" not in json.dumps(read_predictions(trained[method].predictions)[1])

    def test_the_same_seed_gives_the_same_bits_in_memory_and_on_disk(
        self, trained: Any, train: Any, method: str, tmp_path: Path
    ) -> None:
        first, again = trained[method].outcome, train(method, memory_limit=1e-9, temporary=tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == mapped(method)
        pd.testing.assert_frame_equal(first.history, again.history, check_exact=True)
        assert first.scores.tobytes() == again.scores.tobytes()


# In GB: any array of the method would fit on its own, all together do not.
@pytest.mark.parametrize(("method", "memory_limit"), [("two_stage_views", 0.0012), ("inline", 0.0007)])
def test_one_memory_limit_holds_for_all_arrays(
    train: Any, method: str, memory_limit: float, tmp_path: Path
) -> None:
    train(method, memory_limit=memory_limit, temporary=tmp_path, epochs=1)
    assert [file.name for file in tmp_path.iterdir()] == ["features.npy"]


@pytest.mark.parametrize("method", long_but_for(["two_stage"], ["two_stage", "scratch"]))
def test_another_seed_gives_others(trained: Any, train: Any, method: str) -> None:
    assert trained[method].outcome.scores.tobytes() != train(method, seeds=(1,), epochs=1).scores.tobytes()


class TestIdentity:
    """The idea graft stands on: the same views, batches and head, but embedded once."""

    @pytest.fixture
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
        """The inputs and targets of each step."""
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        draw = draw_batches

        def record(*arguments: Any) -> Iterator[Batch]:
            for batch in draw(*arguments):
                seen.append(batch[:2])
                yield batch

        monkeypatch.setattr("graft.training.fit.draw_batches", record)
        return seen

    @pytest.mark.filterwarnings("ignore:precision=bfloat16")  # slow without the instructions, but right
    @pytest.mark.parametrize(
        ("normalise", "precision"),
        long_but_for(
            [("l2", "float32")],
            [("standardise", "float32"), ("l2", "float32"), ("none", "float32"), ("l2", "bfloat16")],
        ),
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
        normalise: str,
        precision: str,
    ) -> None:
        backbone = Backbone(row, "random", 0).build(precision)
        made, store = (backbone, row, "random", precision), tmp_path / "store"
        features, views = tmp_path / "features", tmp_path / "views"
        extract(images, plain_rows(manifest), Embedding(*made), store, None, features)
        augmented = ViewEmbedding(*made, params.augmentation)
        extract(images, view_rows(manifest, EPOCHS), augmented, store, None, views)
        head = {**params.inline.head.model_dump(), "normalise": normalise}

        inline = train("inline", embed=make_embedder(backbone, row.batch_size), head=head)
        cached = train("two_stage_views", features=features, views=views, head=head, batch_size=8)

        half = EPOCHS * STEPS["inline"]
        assert len(steps) == 2 * half
        for (x, y), (x_cached, y_cached) in zip(steps[:half], steps[half:], strict=True):
            assert (x.astype(np.float16) == x_cached).all()
            assert (y == y_cached).all()
        # The cache rounds a feature to 11 significant bits, so to 2**-11 of itself, up or down. A head
        # that sums many of them sees less than that, and nine steps of training do not add it up.
        tolerance = {"rtol": 2**-11, "atol": 2**-11}
        pd.testing.assert_frame_equal(inline.history, cached.history, **tolerance)
        np.testing.assert_allclose(inline.scores, cached.scores, **tolerance)
        assert list(inline.rows["key"]) == list(cached.rows["key"])

    @pytest.mark.parametrize("normalise", long_but_for(["standardise"], ["none", "standardise", "l2"]))
    def test_an_inline_epoch_embeds_the_views_of_its_training_images_and_nothing_else(
        self,
        train: Any,
        params: Any,
        row: Any,
        images: Path,
        manifest: pd.DataFrame,
        backbone: Any,
        normalise: str,
    ) -> None:
        embed, seen = make_embedder(backbone, row.batch_size), []

        def recording(pixels: np.ndarray) -> np.ndarray:
            seen.append(pixels)
            return embed(pixels)

        train("inline", embed=recording, head={**params.inline.head.model_dump(), "normalise": normalise})
        keys = {split: list(rows["key"]) for split, rows in manifest.groupby("split")}
        once = keys["validation"] + keys["test"] + (keys["train"] if normalise == "standardise" else [])
        expected = [load_pixels(images, once, row.image_size)]
        plain = load_pixels(images, keys["train"], row.image_size)
        for epoch in range(EPOCHS):
            order = np.random.default_rng((0, epoch)).permutation(N_TRAIN)
            chosen = [keys["train"][i] for i in order]
            expected.append(augment(plain[order], chosen, [epoch + 1] * N_TRAIN, params.augmentation))
        steps = STEPS["inline"]
        epochs = np.reshape([len(batch) for batch in seen[-EPOCHS * steps :]], (EPOCHS, steps))
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


def part(outcome: Outcome, seed: int) -> np.ndarray:
    """The scores with one seed."""
    return outcome.scores[(outcome.rows["seed"] == seed).to_numpy()]


def pixels_of(outcome: Outcome, images: Path, size: int) -> np.ndarray:
    """The images that the scores of the first seed are of, in their order."""
    keys = list(outcome.rows["key"][outcome.rows["seed"] == outcome.facts["seeds"][0]])
    return load_pixels(images, keys, size).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "size", "changes"),
    [
        ("two_stage", 32, {}),
        pytest.param("inline", 32, {}, marks=pytest.mark.long),
        pytest.param("inline", 32, {"epochs": 1, "fine_tune": TUNED}, marks=pytest.mark.long),
        pytest.param("scratch", 16, {}, marks=pytest.mark.long),
    ],
    ids=["two_stage", "inline", "fine-tuned", "scratch"],
)
def test_each_seed_is_a_training_run_of_its_own_and_the_model_is_of_the_first(
    train: Any, trained: Any, tuned: Any, images: Path, method: str, size: int, changes: dict[str, Any]
) -> None:
    both, first = (train(method, seeds=seeds, **changes) for seeds in ((3, 0), (3,)))
    second = tuned.outcome if changes else trained[method].outcome
    assert both.facts["seeds"] == [3, 0]
    assert list(dict.fromkeys(both.rows["seed"])) == [3, 0]
    assert part(both, 3).tobytes() == first.scores.tobytes()
    assert part(both, 0).tobytes() == second.scores.tobytes()
    pd.testing.assert_frame_equal(both.history, first.history)
    np.testing.assert_allclose(both.model(pixels_of(both, images, size)), part(both, 3), atol=1e-4)


@pytest.mark.parametrize("normalise", long_but_for(["l2"], ["none", "l2"]))
@pytest.mark.parametrize("method", long_but_for(["inline"], ["two_stage", "two_stage_views", "inline"]))
def test_the_deployed_model_normalises_as_the_head_did(
    train: Any, params: Any, images: Path, method: str, normalise: str
) -> None:
    """Training inputs are mixed or augmented before they are normalised; scored ones are plain."""
    head = {**getattr(params, method).head.model_dump(), "normalise": normalise}
    outcome = train(method, head=head, mix="mixup", mix_alpha=1.0, epochs=1)
    np.testing.assert_allclose(outcome.model(pixels_of(outcome, images, 32)), outcome.scores, atol=1e-4)


@pytest.mark.parametrize("method", long_but_for(["linear", "two_stage"], [*METHODS]))
def test_the_file_does_not_depend_on_what_the_process_built_before(
    trained: Any, train: Any, method: str, tmp_path: Path
) -> None:
    build_network([{"Flatten": {}}, {"Dense": {"units": 3}}, {"Dropout": {"rate": 0.5}}], 16, 3, 0)
    root = trained[method].model.parents[2]  # of the members of an ensemble
    again = train(method, seeds=(0, 1) if method == "two_stage" else (0,), trained=root)
    save_model(again.model, tmp_path / "model.keras", read_card(trained[method].model))
    assert (tmp_path / "model.keras").read_bytes() == trained[method].model.read_bytes()


class TestFineTuning:
    def test_the_head_comes_first_and_the_epochs_go_on(self, tuned: Any, trained: Any) -> None:
        head = trained["inline"].outcome.history
        pd.testing.assert_frame_equal(tuned.outcome.history[:1], head[:1])
        assert list(tuned.outcome.history["epoch"]) == [1, 2, 3]
        assert list(tuned.outcome.history["learning_rate"]) == pytest.approx([0.01, 1e-5, 1e-5])

    def test_the_named_block_is_trained_and_no_other_layer(self, tuned: Any, backbone: Any) -> None:
        now = tuned.outcome.model.get_layer("backbone").get_layer("vgg16").layers
        before = {layer.name: layer.get_weights() for layer in backbone.get_layer("vgg16").layers}
        changed = {
            layer.name
            for layer in now
            if any((a != b).any() for a, b in zip(layer.get_weights(), before[layer.name], strict=True))
        }
        assert changed == {"block2_conv1", "block2_conv2"}

    def test_the_model_gives_the_scores(self, tuned: Any, images: Path) -> None:
        np.testing.assert_allclose(
            tuned.outcome.model(pixels_of(tuned.outcome, images, 32)), tuned.outcome.scores, atol=1e-4
        )
        assert losses(tuned.outcome) == pytest.approx(tuned.outcome.history["val_loss"].min(), rel=1e-3)

    def test_what_it_cost(self, tuned: Any) -> None:
        per_epoch = N_TRAIN + 10  # and the validation images, whose features change now
        assert tuned.outcome.facts["images_embedded"] == N_IMAGES + N_TRAIN + 2 * per_epoch + 20

    @pytest.mark.long
    def test_it_cannot_make_the_validation_loss_worse(self, train: Any, trained: Any) -> None:
        """A learning rate far too high: the weights from before are kept, those of the backbone too."""
        spoilt = train("inline", fine_tune={**TUNED, "learning_rate": 1.0})
        head = trained["inline"].outcome
        assert spoilt.history["val_loss"][EPOCHS:].min() > head.history["val_loss"].min()
        np.testing.assert_allclose(spoilt.scores, head.scores, atol=2**-11)

    def test_views_go_on_where_the_head_stopped(self, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        views = []

        def record(pixels: np.ndarray, keys: Any, numbers: list[int], spec: Any) -> np.ndarray:
            views.append(set(numbers))
            return augment(pixels, keys, numbers, spec)

        monkeypatch.setattr("graft.methods.inline.augment", record)
        train("inline", epochs=1, fine_tune=TUNED)
        assert views == [{view} for view in (1, 2, 3) for _ in range(STEPS["inline"])]

    @pytest.mark.long
    def test_its_draws_are_not_those_of_the_head_again(
        self, train: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []

        def record(pixels: np.ndarray, keys: Any, numbers: list[int], spec: Any) -> np.ndarray:
            seen.extend(keys)
            return augment(pixels, keys, numbers, spec)

        monkeypatch.setattr("graft.methods.inline.augment", record)
        train("inline", epochs=1, sampling="balanced", fine_tune={**TUNED, "epochs": 1})
        assert sorted(seen[:N_TRAIN]) != sorted(seen[N_TRAIN:])

    def test_a_block_that_does_not_exist_is_refused_before_any_work(self, train: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"fine_tune\.blocks='block9' .* block1, block2"):
            train("inline", memory_limit=1e-9, temporary=tmp_path, fine_tune={**TUNED, "blocks": ["block9"]})
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", long_but_for(["two_stage_views"], ["two_stage", "two_stage_views"]))
def test_feature_augmentation_changes_what_is_trained_on_and_not_what_is_scored(
    train: Any, trained: Any, params: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def record(features: np.ndarray, keys: Any, numbers: list[int], spec: Any) -> np.ndarray:
        seen.append(set(numbers))
        return augment_features(features, keys, numbers, spec)

    monkeypatch.setattr("graft.methods.cached.augment_features", record)
    operations = {**getattr(params, method).feature_augmentation.model_dump(), "brightness": 0.5}
    outcome = train(method, feature_augmentation=operations)
    assert seen == [{view} for view in (1, 2, 3) for _ in range(STEPS["two_stage_views"])]
    plain = trained[method].outcome
    assert np.abs(outcome.history["loss"] - plain.history["loss"]).max() > 1e-4
    assert outcome.facts["images_embedded"] == plain.facts["images_embedded"]


def test_inline_mixes_pixels_and_two_stage_features(train: Any, row: Any, backbone: Any) -> None:
    embed, seen = make_embedder(backbone, row.batch_size), []

    def recording(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels)
        return embed(pixels)

    train("inline", embed=recording, epochs=1)
    plain, seen = seen[-STEPS["inline"] :], []
    mixed = train("inline", embed=recording, epochs=1, mix="mixup", mix_alpha=1.0)
    assert all(len(a) == len(b) and (a != b).any() for a, b in zip(plain, seen[-len(plain) :], strict=True))
    assert mixed.facts["images_embedded"] == N_IMAGES + N_TRAIN
    assert train("two_stage", mix="cutmix", epochs=1).history["loss"].notna().all()


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

    def test_it_is_looked_at_before_any_work(self, train: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="received 'Flaten'"):
            train("scratch", layers=[{"Flaten": {}}], memory_limit=1e-9, temporary=tmp_path)
        assert list(tmp_path.iterdir()) == []

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

    @pytest.mark.parametrize("size", long_but_for([8], [8, 28]))
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
        assert loaded.input_shape == (None, size, size, 1)
        np.testing.assert_allclose(loaded(pixels), outcome.scores, atol=1e-4)
        again = train("scratch", color_mode="grayscale", image_size=size, epochs=2, memory_limit=1e-9)
        assert again.scores.tobytes() == outcome.scores.tobytes()

    @pytest.mark.filterwarnings("ignore:precision=bfloat16")
    def test_bfloat16_is_for_the_training_and_the_model_is_float32(
        self, train: Any, trained: Any, images: Path, manifest: pd.DataFrame, tmp_path: Path
    ) -> None:
        coarse, exact = train("scratch", precision="bfloat16"), trained["scratch"].outcome
        assert keras.config.dtype_policy().name == "float32"
        assert coarse.history["loss"][0] != exact.history["loss"][0]
        np.testing.assert_allclose(coarse.history["loss"][0], exact.history["loss"][0], rtol=0.05)
        layers = coarse.model.get_layer("scratch").layers
        assert {layer.dtype_policy.name for layer in layers} == {"float32"}
        write_outcome(coarse, "scratch", tmp_path)
        predictions, facts = read_predictions(tmp_path / "predictions/scratch.parquet")
        evaluate(predictions, facts, manifest, 0.95, 15)
        np.testing.assert_allclose(coarse.model(pixels_of(coarse, images, 16)), coarse.scores, atol=0.02)

    def test_its_model_takes_the_pixels(self, trained: Any, images: Any) -> None:
        outcome = trained["scratch"].outcome
        pixels = load_pixels(images, list(outcome.rows["key"]), 16).astype(np.float32)
        np.testing.assert_allclose(outcome.model(pixels), outcome.scores, atol=1e-4)


class TestDistilled:
    def test_its_teacher_answers_the_views_that_it_sees(
        self, train: Any, trained: Any, params: Any, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The answers beside the targets are those of the teacher's model to these views, at its own size."""
        seen: list[tuple[int, list[str]]] = []
        steps: list[np.ndarray] = []
        draw = draw_batches

        def record(*arguments: Any) -> Iterator[Batch]:
            for batch in draw(*arguments):
                steps.append(batch[1])
                yield batch

        def watch(pixels: np.ndarray, keys: Any, numbers: list[int], spec: Any) -> np.ndarray:
            seen.append((numbers[0], list(keys)))
            return augment(pixels, keys, numbers, spec)

        monkeypatch.setattr("graft.training.fit.draw_batches", record)
        monkeypatch.setattr("graft.methods.small_network.augment", watch)
        train("distilled", epochs=3)
        assert [view for view, _ in seen] == [view for view in (1, 2, 1) for _ in range(2)]
        teacher = trained["linear"].outcome.model
        for (view, keys), targets in zip(seen, steps, strict=True):
            plain = load_pixels(images, keys, 32)
            views = augment(plain, keys, [view] * len(keys), params.augmentation)
            np.testing.assert_allclose(targets[:, 5:], teacher(views), atol=1e-4)

    def test_its_teacher_stands_in_its_card(self, trained: Any) -> None:
        card = read_card(trained["distilled"].model)
        assert card["teacher"] == "linear"
        assert card["teacher_sha256"] == digest(trained["linear"].model)
        assert card["backbone"] == "none"
        assert "teacher" not in read_card(trained["scratch"].model)

    def test_another_teacher_temperature_or_share_gives_another_student(
        self, train: Any, trained: Any
    ) -> None:
        scores = trained["distilled"].outcome.scores
        for changes in ({"temperature": 1.0}, {"alpha": 0.1}):
            assert np.abs(train("distilled", **changes).scores - scores).max() > 1e-4

    def test_without_its_teacher_it_says_which_file_is_missing(self, train: Any, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"linear.model\.keras"):
            train("distilled", trained=tmp_path)

    def test_its_network_is_looked_at_before_its_teacher(self, train: Any, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"distilled\.layers\[0\]: .* received 'Flaten'"):
            train("distilled", layers=[{"Flaten": {}}], trained=tmp_path)


@pytest.mark.skipif(not find_spec("imblearn"), reason="needs graft[smote]")
@pytest.mark.parametrize(
    "method", ["linear", *long_but_for(["two_stage_views"], ["two_stage", "two_stage_views"])]
)
def test_smote_where_no_class_is_rare_changes_nothing(train: Any, trained: Any, method: str) -> None:
    again = train(method, sampling="smote")
    assert again.scores.tobytes() == trained[method].outcome.scores.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_an_outcome_is_described_by_the_accuracy_of_the_model_that_is_kept(trained: Any, method: str) -> None:
    outcome = trained[method].outcome
    said = describe(outcome)
    history = outcome.history
    best = history.iloc[history["val_loss"].argmin()]
    assert said.startswith(f"validation accuracy {100 * best['val_accuracy']:.1f} % (")
    name, value = history.columns[0], f"{best.iloc[0]:g}"
    place = f"epoch {value} of {len(history)}" if name == "epoch" else f"{name} = {value}"
    assert f"({place})" in said


def test_a_history_of_its_own_is_described_too(trained: Any) -> None:
    """A history without epochs, like that of the method in CONTRIBUTING."""
    outcome = replace(trained["linear"].outcome, history=pd.DataFrame({"temperature": [100.0]}))
    assert describe(outcome).endswith("% (temperature = 100)")
    several = replace(outcome, facts={**outcome.facts, "seeds": [0, 1, 2]})
    assert describe(several).endswith("(temperature = 100, first of 3 seeds)")
