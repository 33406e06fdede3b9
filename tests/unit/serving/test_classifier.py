"""A model file in use: the scores are those that were reported, whatever the images come as."""

import json
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import graft
from graft.data.decoding import load_pixels, read_images
from graft.data.images import ImageError
from graft.evaluation.predictions import read_predictions, score_matrix
from graft.methods.registry import METHODS
from graft.models.card import read_card
from graft.serving.classifier import Classifier


@pytest.fixture(scope="module")
def models(trained: Any) -> dict[str, Classifier]:
    return {method: graft.load(trained[method].model.parent) for method in METHODS}


@pytest.fixture(scope="module")
def files(images: Path, manifest: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """key -> image file."""
    folder = tmp_path_factory.mktemp("files")
    for key, data in read_images(images, list(manifest["key"])).items():
        (folder / f"{key}.jpg").write_bytes(data)
    return {key: folder / f"{key}.jpg" for key in manifest["key"]}


@pytest.mark.parametrize("method", METHODS)
def test_its_scores_are_the_reported_ones(
    models: dict[str, Classifier], trained: Any, files: dict[str, Path], method: str
) -> None:
    reported, _ = read_predictions(trained[method].predictions)
    expected, classes = score_matrix(reported)
    table = models[method].predict([files[key] for key in reported["key"]])
    assert list(table.columns) == ["path", "label", "score", *classes]
    assert list(table["path"]) == [str(files[key]) for key in reported["key"]]
    np.testing.assert_allclose(table[classes], expected, atol=2e-3)
    best = np.sort(expected, axis=1)[:, -2:]
    clear = best[:, 1] - best[:, 0] > 4e-3
    assert (table["label"] == np.array(classes)[expected.argmax(1)])[clear].all()
    assert clear.any()
    np.testing.assert_array_equal(table["score"], table[classes].max(axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_the_card_says_what_the_model_is(models: dict[str, Classifier], trained: Any, method: str) -> None:
    card, (reported, facts) = models[method].card, read_predictions(trained[method].predictions)
    assert card == read_card(trained[method].model)
    assert (card["method"], card["dataset"]) == (method, "demo")
    assert card["classes"] == models[method].classes == score_matrix(reported)[1]
    assert card["weights_sha256"] == facts["weights_sha256"]
    assert (card["weights_sha256"] is None) == (method in ("scratch", "distilled"))
    assert card["n_images"] == {"train": 20, "validation": 10, "test": 10}
    scores, classes = score_matrix(reported[reported["split"] == "test"])
    right = (
        np.array(classes)[scores.argmax(1)] == reported.loc[reported["split"] == "test", "y_true"]
    ).mean()
    test = card["accuracy"]["test"]
    assert test["value"] == right
    assert 0 <= test["low"] <= right <= test["high"] <= 1
    assert card["versions"]["keras"]


def test_paths_and_arrays_of_any_form_give_the_same(
    models: dict[str, Classifier], images: Path, files: dict[str, Path]
) -> None:
    model, (key, path) = models["two_stage"], next(iter(files.items()))
    by_path = model.predict(path)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    resized = load_pixels(images, [key], 32)
    for given in (str(path), [path], pixels, [pixels], pixels.astype(np.float64), resized, list(resized)):
        np.testing.assert_array_equal(model.predict(given).iloc[:, 1:], by_path.iloc[:, 1:])
    gray = np.full((9, 7), 80, np.uint8)
    both = model.predict([gray, np.repeat(gray[..., None], 3, 2), gray[..., None]])
    assert list(both["path"]) == ["0", "1", "2"]
    assert len(set(both["score"])) == 1
    assert list(model.predict([]).columns) == list(by_path.columns)


@pytest.mark.parametrize("batch_size", [1, 3, 40])
def test_the_size_of_a_batch_changes_no_score(
    models: dict[str, Classifier], files: dict[str, Path], batch_size: int
) -> None:
    paths = list(files.values())[:7]
    expected = models["two_stage"].predict(paths)
    found = models["two_stage"].predict(paths, batch_size)
    pd.testing.assert_frame_equal(found, expected, atol=1e-6, rtol=0)


def test_features_are_those_of_the_cache(
    models: dict[str, Classifier], images: Path, manifest: pd.DataFrame, features: Path
) -> None:
    from graft.features.format import load_features

    keys = list(manifest["key"])[:5]
    cached = load_features([features], [(key, 0) for key in keys], 1.0, Path("unused")).astype(np.float32)
    found = models["two_stage"].score(load_pixels(images, keys, 32)).features
    assert found is not None
    np.testing.assert_allclose(found, cached.mean((1, 2)), rtol=2e-3, atol=2e-3)
    assert models["scratch"].score(np.zeros((1, 16, 16, 3), np.uint8)).features is None


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2)), "received shape=.4, 4, 2."),
        (np.zeros((0, 4, 3)), "received shape=.0, 4, 3."),
        (np.full((4, 4, 3), 256.0), r"expected values in \[0, 255\], received 256.0 to 256.0"),
        (np.full((4, 4, 3), np.nan), r"expected values in \[0, 255\]"),
        (np.full((4, 4, 3), -1), r"expected values in \[0, 255\]"),
    ],
)
def test_an_array_that_is_no_image_is_refused(
    models: dict[str, Classifier], image: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"image 0: .*{message}"):
        models["two_stage"].predict([image])


def test_a_file_that_does_not_decode_is_named(models: dict[str, Classifier], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a\.jpg: not an image"):
        models["two_stage"].predict(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        models["two_stage"].predict(tmp_path / "b.jpg")


def test_16_bit_images_are_decoded_by_the_bit_depth_of_the_card() -> None:
    file = BytesIO()
    Image.fromarray(np.full((2, 2), 0xABC, np.uint16)).save(file, "PNG")
    card = {"classes": ["cat", "dog"], "image_size": 2, "channels": 1}
    for bit_depth, value in ((None, 0x0A), (12, 0xAB)):
        model = Classifier(card | ({"bit_depth": bit_depth} if bit_depth else {}), lambda _: None)  # type: ignore[arg-type, return-value]
        assert (model.decode(file.getvalue()) == value).all()


DAMAGE = {
    "a card of fewer classes": ("graft.json", {"classes": ["a", "b"]}, "is not the model of its card"),
    "a card of another size": ("graft.json", {"image_size": 16}, "is not the model of its card"),
    "a card of other channels": ("graft.json", {"channels": 1}, "is not the model of its card"),
    "a card without classes": ("graft.json", {"classes": None}, "has no card of graft"),
    "a class twice": ("graft.json", {"classes": ["a", "a"]}, "has no card of graft"),
    "a card that is a list": ("graft.json", b"[1]", "has no card of graft"),
    "a nested card": ("graft.json", b"[" * 100_000, "has no card of graft"),
    "no weights": ("model.weights.h5", b"", "cannot be loaded by Keras"),
    "a bomb": ("config.json", b"0" * 50_000_000, "has no card of graft"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_or_hostile_model_file_is_a_sentence(name: str, trained: Any, tmp_path: Path) -> None:
    entry, content, said = DAMAGE[name]
    with zipfile.ZipFile(trained["two_stage"].model) as source:
        entries = {each: source.read(each) for each in source.namelist()}
    if isinstance(content, dict):
        content = json.dumps(json.loads(entries[entry]) | content).encode()
    kind = zipfile.ZIP_DEFLATED if name == "a bomb" else zipfile.ZIP_STORED
    with zipfile.ZipFile(tmp_path / "model.keras", "w", kind) as target:
        for each, data in (entries | {entry: content}).items():
            target.writestr(each, data)
    with pytest.raises(ValueError, match=rf"model\.keras {said}"):
        graft.load(tmp_path)


def test_no_model_of_ours_is_a_sentence(tmp_path: Path, backbone: Any) -> None:
    from graft.models.serialization import save_model

    with pytest.raises(FileNotFoundError, match="does not exist: expected a model file"):
        graft.load(tmp_path / "gone")
    save_model(backbone, tmp_path / "model.keras")
    with pytest.raises(ValueError, match="has no card of graft"):
        graft.load(tmp_path)
    (tmp_path / "a.keras").write_bytes(b"no zip")
    with pytest.raises(ValueError, match="has no card of graft"):
        graft.load(tmp_path / "a.keras")
    os.mkfifo(tmp_path / "pipe.keras")
    with pytest.raises(ValueError, match="is no model file of a known format"):
        graft.load(tmp_path / "pipe.keras")
    (tmp_path / "a.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match="is no model file of a known format"):
        graft.load(tmp_path / "a.pkl")


def test_a_class_may_be_called_like_a_column(models: dict[str, Classifier]) -> None:
    model = models["two_stage"]
    odd = Classifier({**model.card, "classes": ["label", "path", "score", "x", "y"]}, model.session)
    table = odd.predict(np.zeros((8, 8, 3), np.uint8))
    assert list(table.columns[:6]) == [
        "path",
        "label",
        "score",
        "label (class)",
        "path (class)",
        "score (class)",
    ]


@pytest.mark.long
def test_graft_is_imported_and_a_card_is_read_without_tensorflow(trained: Any) -> None:
    code = (
        "import sys, graft, json; from pathlib import Path; from graft.models.card import read_card;"
        "import graft.serving.stream, graft.serving.sources, graft.serving.writers;"
        "print(json.dumps(read_card(Path(sys.argv[1]))['classes']));"
        "assert not {'tensorflow', 'keras', 'sklearn', 'dvc'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, trained["linear"].model], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 5


def test_a_grayscale_model_takes_colour_images(train: Any, tmp_path: Path) -> None:
    from graft.methods.outcome import write_model

    outcome = train("scratch", color_mode="grayscale", epochs=1)
    write_model(outcome, tmp_path, "scratch", "demo")
    model, file = graft.load(tmp_path), BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(file, "PNG")
    assert model.decode(file.getvalue()).shape == (16, 16, 1)
    assert len(model.predict(np.zeros((5, 5, 3), np.uint8))) == 1
