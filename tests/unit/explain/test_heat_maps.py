"""The output of the stage: a map of each example by each method, and an index of them."""

import json
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from graft.config.training import Head
from graft.data.images import decode, load
from graft.explain.heat_maps import Explained, explain
from graft.models.heads import build_head
from graft.models.serialization import deployable, save_model

CLASSES = ["daisy", "rosé", "tulip"]
SHAPES = [
    (40, 30),
    (32, 32),
    (33, 300),
    (32, 32),
    (200, 100),
    (50, 50),
    (10, 20),
    (64, 32),
    (32, 64),
    (31, 31),
]


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    """More than a batch of images of several sizes, by key."""
    found = {}
    for i, (width, height) in enumerate(SHAPES):
        file = BytesIO()
        pixels = np.random.default_rng(i).integers(0, 256, (height // 2 + 1, width // 2 + 1, 3), np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(file, "JPEG")
        found[sha256(file.getvalue()).hexdigest()] = file.getvalue()
    return found


@pytest.fixture(scope="module")
def examples(images: dict[str, bytes]) -> list[dict[str, Any]]:
    return [{"key": key, "label": "rosé", "reasons": {"inline": "mistake"}} for key in sorted(images)]


@pytest.fixture(scope="module")
def models(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two methods' deployable models, untrained."""
    folder = tmp_path_factory.mktemp("models")
    for i, method in enumerate(("two_stage", "inline")):
        params = Head(pooling="avg", normalise="none", dense=(8,), batch_norm=True, dropout=0.2, l2=0.0)
        head = build_head(backbone.output_shape[1:], len(CLASSES), params, None, seed=i)
        save_model(deployable(backbone, head), folder / method / "model.keras")
    return {method: folder / method / "model.keras" for method in ("two_stage", "inline")}


@pytest.fixture(scope="module")
def methods(images: dict[str, bytes], models: dict[str, Path]) -> dict[str, Explained]:
    """All classes in turn are explained, whatever the models predict."""
    labels = {m: {key: CLASSES[(i + n) % 3] for i, key in enumerate(images)} for n, m in enumerate(models)}
    return {method: Explained(model, labels[method]) for method, model in models.items()}


@pytest.fixture(scope="module")
def written(
    images: dict[str, bytes],
    examples: list[dict[str, Any]],
    methods: dict[str, Explained],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "explain"
    explain(examples, images, methods, CLASSES, folder)
    return folder


def read_index(folder: Path) -> Any:
    return json.loads((folder / "index.json").read_text(encoding="utf-8"))


def test_the_index_names_a_map_of_every_example_by_every_method(
    written: Path, examples: list[dict[str, Any]]
) -> None:
    index = read_index(written)
    assert index["methods"] == ["two_stage", "inline"]
    assert [{**image, "maps": None} for image in index["images"]] == [
        {**example, "maps": None} for example in examples
    ]
    named = {entry["file"] for image in index["images"] for entry in image["maps"].values()}
    expected = {f"{method}/{image['key']}.png" for method in index["methods"] for image in index["images"]}
    found = {file.relative_to(written).as_posix() for file in written.rglob("*.png")}
    assert named == expected == found


def test_a_map_is_small_and_of_its_images_shape(written: Path, images: dict[str, bytes]) -> None:
    for file in written.rglob("*.png"):
        height, width, _ = decode(images[file.stem]).shape
        scale = min(1, 128 / max(height, width))
        assert file.stat().st_size <= 10_000
        assert Image.open(BytesIO(file.read_bytes())).size == (round(scale * width), round(scale * height))


def test_the_score_is_the_models_for_that_class_of_the_image_as_a_user_gives_it(
    written: Path, images: dict[str, bytes], methods: dict[str, Explained]
) -> None:
    for method, (path, predicted) in methods.items():
        model = keras.saving.load_model(path)
        for image in read_index(written)["images"]:
            scores = model(load(images[image["key"]], 32)[None].astype(np.float32)).numpy()[0]
            found = image["maps"][method]
            assert found["class"] == predicted[image["key"]]
            assert found["score"] == pytest.approx(scores[CLASSES.index(found["class"])], abs=1e-5)
            assert found["score"] == round(found["score"], 6)


def test_again_it_is_the_same_bytes_whatever_lay_there(
    written: Path,
    images: dict[str, bytes],
    examples: list[dict[str, Any]],
    methods: dict[str, Explained],
    tmp_path: Path,
) -> None:
    (tmp_path / "inline").mkdir()
    (tmp_path / "inline" / "old.png").write_bytes(b"of an image that is not chosen any more")
    explain(examples, dict(sorted(images.items(), reverse=True)), methods, CLASSES, tmp_path)
    before, after = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.*")}
        for folder in (written, tmp_path)
    )
    assert len(before) == 2 * len(SHAPES) + 1
    assert before == after


def test_with_nothing_to_explain_there_is_an_index(methods: dict[str, Explained], tmp_path: Path) -> None:
    explain([], {}, methods, CLASSES, tmp_path / "explain")
    assert read_index(tmp_path / "explain") == {"methods": ["two_stage", "inline"], "images": []}
