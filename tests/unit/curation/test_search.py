"""`graft search`: nearest images in order, as lines and as a sheet; what cannot be searched is said."""

import re
import shutil
from hashlib import sha256
from io import BytesIO

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from graft.cli.main import app
from graft.curation.neighbours import to_vectors
from graft.curation.search import find_nearest
from graft.curation.sheet import GAP, LONGEST, ROW, SIDE, Tile, draw_sheet
from graft.data.images import load
from graft.data.manifest import write_manifest
from graft.features.format import write_features
from graft.models.isolation import build_isolated
from graft.models.serialization import save_model, weights_sha256
from helpers.repository import ROOT

N, SIZE = 24, 16


def encode(number, kind="PNG", size=(40, 30)):
    """Colours that turn with the number, brighter to the right."""
    hue = np.array([[[number * 10, 255 - number * 10, 120]]])
    ramp = np.linspace(0.3, 1, size[0])[None, :, None]
    file = BytesIO()
    Image.fromarray((hue * ramp).repeat(size[1], 0).astype(np.uint8)).save(file, kind)
    return file.getvalue()


def make_backbone():
    def build():
        layers = [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Rescaling(1 / 255),
        ]
        return keras.Sequential([*layers, keras.layers.Conv2D(4, 1, kernel_initializer="orthogonal")])

    return build_isolated(build)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    root, images = tmp_path_factory.mktemp("searched"), [encode(n) for n in range(N)]
    rows = pd.DataFrame(
        {"key": [sha256(image).hexdigest() for image in images], "label": np.resize(["写真", "b"], N)}
    )
    rows["path"], rows["split"] = [f"c/{n:02}.png" for n in range(N)], np.resize(["train", "test"], N)
    write_manifest(rows, root / "data/manifest.csv")
    backbone = make_backbone()
    save_model(backbone, root / "models/backbone.keras")
    pixels = np.stack([load(image, SIZE) for image in images]).astype(np.float32)
    features = np.asarray(backbone(pixels)).astype(np.float16)
    for folder in ("features", "images"):
        (root / "data" / folder).mkdir()
    fingerprint = {"weights_sha256": weights_sha256(backbone)}
    write_features(root / "data/features/0.parquet", [(key, 0) for key in rows["key"]], features, fingerprint)
    pd.DataFrame({"key": rows["key"], "image": images}).to_parquet(root / "data/images/0.parquet")
    shutil.copy(ROOT / "params.yaml", root)
    return root


@pytest.fixture
def repo(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "repo")


def search(repo, *arguments, status=0):
    done = CliRunner().invoke(app, ["search", "--root", str(repo), *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def test_an_image_of_the_dataset_finds_itself_and_then_those_like_it(repo, tmp_path):
    file = tmp_path / "own é.jpg"
    file.write_bytes(encode(7))  # whatever it is called
    lines = search(repo, file, "-k", 3).splitlines()
    assert lines[0] == str(file)
    found = [
        re.fullmatch(r" +(\d)  (\d\.\d{3})  (\S+) +(train|test) +(c/\d\d\.png)", line) for line in lines[1:]
    ]
    assert [one[1] for one in found] == ["1", "2", "3"]
    assert (found[0][2], found[0][3], found[0][4], found[0][5]) == ("1.000", "b", "test", "c/07.png")
    assert {one[5] for one in found[1:]} == {"c/06.png", "c/08.png"}


def test_the_order_is_that_of_the_cosine():
    rng = np.random.default_rng(0)
    features, query = rng.random((50, 2, 2, 5)), rng.random((2, 2, 5))
    manifest = pd.DataFrame({"key": [f"{n}" for n in range(50)]})
    found = find_nearest(manifest, to_vectors(features), query, 50)
    flat, one = features.mean((1, 2)), query.mean((0, 1))
    cosines = flat @ one / np.linalg.norm(flat, axis=1) / np.linalg.norm(one)
    assert found["key"].astype(int).tolist() == np.argsort(-cosines).tolist()
    assert found["similarity"].to_numpy() == pytest.approx(np.sort(cosines)[::-1], abs=1e-6)
    assert len(find_nearest(manifest, to_vectors(features), query, 99)) == 50


@pytest.mark.parametrize("name", ["sheet.jpg", "new folder/sheet.PNG", "sheet.webp"])
def test_a_sheet_has_a_row_for_each_image(repo, tmp_path, name):
    for n in (3, 20):
        (tmp_path / f"{n}.png").write_bytes(encode(n))
    said = search(repo, tmp_path / "3.png", tmp_path / "20.png", "-k", 4, "--sheet", tmp_path / name)
    assert f"{tmp_path / name} shows them" in said
    sheet = Image.open(tmp_path / name).convert("RGB")
    assert sheet.size == (GAP + 5 * (SIDE + GAP), GAP + 2 * ROW)
    middles = [sheet.getpixel((GAP + SIDE // 2 + x * (SIDE + GAP), GAP + SIDE // 2)) for x in (0, 1)]
    assert np.abs(np.subtract(*middles)).max() < 12  # the image itself is the nearest
    assert len(list(tmp_path.rglob("*.partial"))) == 0


def test_what_cannot_be_read_is_said_and_the_others_are_searched(repo, tmp_path):
    (tmp_path / "good.png").write_bytes(encode(3))
    (tmp_path / "bad.png").write_bytes(b"no image")
    said = search(repo, tmp_path / "bad.png", tmp_path / "none.png", tmp_path / "good.png", "-k", 1, status=1)
    assert "bad.png: not an image" in said
    assert "none.png: No such file" in said
    assert "c/03.png" in said
    assert "2 of 3 images could not be read" in said


def test_features_of_another_backbone_are_not_compared(repo, tmp_path):
    keras.utils.set_random_seed(9)
    save_model(make_backbone(), repo / "models/backbone.keras")
    (tmp_path / "good.png").write_bytes(encode(3))
    assert "is of another backbone than" in search(repo, tmp_path / "good.png", status=1)
    (repo / "models/backbone.keras").unlink()
    assert "backbone.keras is missing" in search(repo, tmp_path / "good.png", status=1)


def test_wrong_usage_is_refused_before_anything_is_loaded(repo, tmp_path):
    (tmp_path / "good.png").write_bytes(encode(3))
    assert "ends in .jpg" in search(repo, tmp_path / "good.png", "--sheet", "sheet.pdf", status=2)
    (tmp_path / "empty").mkdir()
    assert "no image in" in search(repo, tmp_path / "empty", status=1)
    with pytest.raises(ValueError, match="take fewer images"):
        draw_sheet([[Tile(Image.new("RGB", (9, 9)), ("", ""))]] * (LONGEST // ROW + 1))
