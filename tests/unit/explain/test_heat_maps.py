"""The output of the stage: a map of each example by each method, and an index of them."""

import json
import os
import subprocess
import sys
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
from graft.explain.cache import Cache, HeatMap, drop_oldest
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
    explain(examples, images, methods, CLASSES, folder, folder.parent / "known")
    return folder


def read_all(folder: Path) -> dict[Path, bytes]:
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.*")}


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
    folder = tmp_path / "explain"
    (folder / "inline").mkdir(parents=True)
    (folder / "inline" / "old.png").write_bytes(b"of an image that is not chosen any more")
    backwards = dict(sorted(images.items(), reverse=True))
    explain(examples, backwards, methods, CLASSES, folder, tmp_path / "known")
    assert len(read_all(written)) == 2 * len(SHAPES) + 1
    assert read_all(folder) == read_all(written)


def test_each_is_the_same_whatever_is_known_damaged_or_drawn_with_it(
    written: Path,
    images: dict[str, bytes],
    examples: list[dict[str, Any]],
    methods: dict[str, Explained],
    tmp_path: Path,
) -> None:
    known, folder, before = tmp_path / "known", tmp_path / "explain", read_all(written)
    for chosen in (examples[3:4], examples[2:7], examples):
        explain(chosen, images, methods, CLASSES, folder, known)
        damaged, cut, *_ = entries = sorted(known.iterdir())
        assert len(entries) == 2 * len(chosen)
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
        cut.write_bytes(b"")
        assert {item for item in read_all(folder).items() if item[0].suffix == ".png"} <= {*before.items()}
    assert read_all(folder) == before


def test_what_is_known_is_drawn_neither_again_nor_with_keras(
    written: Path,
    images: dict[str, bytes],
    examples: list[dict[str, Any]],
    methods: dict[str, Explained],
    tmp_path: Path,
) -> None:
    given = [examples, dict.fromkeys(images, ""), {m: tuple(one) for m, one in methods.items()}, CLASSES]
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\nfrom pathlib import Path\nfrom graft.explain.heat_maps import Explained, explain\n"
        "examples, images, methods, classes = json.loads(sys.stdin.read())\n"
        "methods = {m: Explained(Path(path), labels) for m, (path, labels) in methods.items()}\n"
        "explain(examples, images, methods, classes, *map(Path, sys.argv[1:]))\n"
        "assert not {'keras', 'tensorflow'} & {*sys.modules}"
    )
    command = [sys.executable, str(script), str(tmp_path / "explain"), str(written.parent / "known")]
    subprocess.run(command, input=json.dumps(given, default=str), text=True, check=True)
    assert read_all(tmp_path / "explain") == read_all(written)


@pytest.mark.parametrize("limit", [0, 2, 9])
def test_those_that_were_used_last_are_kept(tmp_path: Path, limit: int) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"a model")
    cache = Cache(tmp_path / "known", model)
    for number in range(4):
        before = {*tmp_path.glob("known/*")}
        cache.write("key", number, HeatMap(number / 4, b"%d\n" % number))
        (written,) = {*tmp_path.glob("known/*")} - before
        os.utime(written, (number, number))
    assert cache.read("key", 1) == HeatMap(0.25, b"1\n")
    drop_oldest(tmp_path / "known", limit)
    kept = {number for number in range(4) if cache.read("key", number)}
    assert kept == {*[1, 3, 2, 0][:limit]}


def test_another_model_key_class_or_backend_is_another_heat_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    Cache(tmp_path / "known", tmp_path / "a").write("key", 0, HeatMap(0.5, b"PNG"))
    assert Cache(tmp_path / "known", tmp_path / "a").read("key", 0) == HeatMap(0.5, b"PNG")
    assert not Cache(tmp_path / "known", tmp_path / "a").read("key", 1)
    assert not Cache(tmp_path / "known", tmp_path / "a").read("other", 0)
    assert not Cache(tmp_path / "known", tmp_path / "b").read("key", 0)
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert not Cache(tmp_path / "known", tmp_path / "a").read("key", 0)


def test_with_nothing_to_explain_there_is_an_index(methods: dict[str, Explained], tmp_path: Path) -> None:
    explain([], {}, methods, CLASSES, tmp_path / "explain", tmp_path / "known")
    assert read_index(tmp_path / "explain") == {"methods": ["two_stage", "inline"], "images": []}
