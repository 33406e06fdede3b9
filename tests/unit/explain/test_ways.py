"""One image explained: each way finds what decides, from any file of the model, to the same bytes."""

import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as kl
from PIL import Image
from typer.testing import CliRunner

from graft.cli.main import app
from graft.explain.feature_maps import read_feature_maps
from graft.explain.occlusion import occlude
from graft.explain.panel import GAP, SIDE, draw_beside
from graft.explain.ways import WAYS
from graft.export.registry import FORMATS
from graft.models.serialization import deployable, save_model
from helpers.tiers import long_but_for

SIZE = 32
CORNER = 12  # pixels of the only part of an image that has a part in the class
CLASSES = ["dull", "it's <b>bright</b>"]
CARD = {"classes": CLASSES, "image_size": SIZE, "channels": 3, "method": "two_stage"}
SUPERPIXELS = [pytest.param(how, marks=pytest.mark.long) for how in ("lime", "shap")]


def make_model(row: int, column: int) -> keras.Model:
    """A backbone that cuts all but one corner away, and a head that says how bright it is."""
    cut = [((SIZE - CORNER) * place, (SIZE - CORNER) * (1 - place)) for place in (row, column)]
    convolution = kl.Conv2D(4, 3, padding="same", activation="relu", kernel_initializer="ones", name="four")
    layers = [kl.Rescaling(1 / 255), kl.Cropping2D(cut), kl.ZeroPadding2D(cut), convolution]
    backbone = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])
    last = kl.Dense(1, "sigmoid")
    head = keras.Sequential([keras.Input(backbone.output_shape[1:]), kl.GlobalAveragePooling2D(), last])
    last.set_weights([np.full((4, 1), 0.5), np.array([-1.0])])
    return deployable(backbone, head)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`models/<row><column>/model.keras` for each corner, and an image of noise that is bright in all."""
    root = tmp_path_factory.mktemp("explained")
    for row, column in ((0, 0), (0, 1), (1, 0)):
        save_model(make_model(row, column), root / f"{row}{column}/model.keras", CARD)
    pixels = np.random.default_rng(0).integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
    for at in np.ndindex(2, 2):
        rows, columns = (slice((SIZE - CORNER) * n, (SIZE - CORNER) * n + CORNER) for n in at)
        pixels[rows, columns] += 190
    Image.fromarray(pixels).resize((3 * SIZE, 2 * SIZE), Image.Resampling.NEAREST).save(root / "写真 (1).png")
    return root


@pytest.fixture
def explain(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs `graft explain` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def explain(*options: Any, image: Any = folder / "写真 (1).png", model: Any = "00") -> SimpleNamespace:
        options = "explain", image, "--model", folder / model, *options
        done = CliRunner().invoke(app, list(map(str, options)))
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return SimpleNamespace(code=done.exit_code, said=done.output)

    return explain


def orange(file: Path) -> np.ndarray:
    """How orange each place of the right half of a picture is."""
    with Image.open(file) as drawn:
        pixels = np.asarray(drawn).astype(int)
    right = pixels[:, (pixels.shape[1] + GAP) // 2 :]
    return np.asarray(right[..., 0] - right[..., 2])


@pytest.mark.parametrize("how", ["gradcam", "occlusion", *SUPERPIXELS])
@pytest.mark.parametrize("corner", long_but_for(["01"], ["00", "01", "10"]))
def test_the_corner_that_decides_is_the_most_orange(how: str, corner: str, explain: Any) -> None:
    if how in ("lime", "shap"):
        pytest.importorskip(how)
    done = explain("--how", how, "--samples", 200, model=corner)
    assert done.code == 0, done.said
    assert "it's <b>bright</b>, score " in done.said
    heat = orange(Path(f"写真 (1)-{how}.png"))
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    share = CORNER / SIZE
    for place, length, is_end in zip((row, column), heat.shape, map(int, corner), strict=True):
        assert is_end == (place / length > 1 - share) == (place / length >= share)


@pytest.mark.parametrize("how", ["occlusion", *SUPERPIXELS])
def test_the_same_seed_gives_the_same_bytes(how: str, explain: Any, tmp_path: Path) -> None:
    if how in ("lime", "shap"):
        pytest.importorskip(how)
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    said = {
        explain("--how", how, "--samples", 150, "--out", file).said.replace(file.name, "") for file in files
    }
    assert len(said) == 1
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_class_has_the_opposite_map(explain: Any) -> None:
    for name, file in zip(CLASSES, ("dull.png", "bright.png"), strict=True):
        assert f": {name}, score" in explain("--how", "occlusion", "--class", name, "--out", file).said
    dull, bright = orange(Path("dull.png")), orange(Path("bright.png"))
    at = bright.argmax()
    assert dull.ravel()[at] < 0 < bright.ravel()[at]
    assert "expected one of dull, it's <b>bright</b>" in explain("--class", "none").said


@pytest.mark.long
def test_an_exported_file_gives_the_same_occlusion_and_no_gradcam(folder: Path, explain: Any) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model, card = make_model(0, 0), CARD | {"commit": None}
    FORMATS["onnx"].load().write(model, card, folder / "model.onnx", "float32", np.zeros((1, SIZE, SIZE, 3)))
    assert explain("--how", "occlusion", "--out", "keras.png").code == 0
    assert explain("--how", "occlusion", "--out", "onnx.png", model="model.onnx").code == 0
    maps = [orange(Path(f"{name}.png")) for name in ("keras", "onnx")]
    assert np.abs(maps[0] - maps[1]).max() <= 2
    for how in ("gradcam", "layers"):
        done = explain("--how", how, model="model.onnx")
        assert done.code == 1
        assert "--how occlusion, which needs the scores alone" in done.said


def test_the_channels_of_a_layer_are_those_that_it_gives(folder: Path, explain: Any) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    model = keras.saving.load_model(folder / "10/model.keras")
    found = read_feature_maps(model, pixels, "four")
    expected = model.layers[1](pixels[None].astype(np.float32))[0].numpy()
    assert found.channels == [0, 1, 2, 3]
    np.testing.assert_allclose(found.maps, expected / expected.max((0, 1)), rtol=1e-5)
    done = explain("--how", "layers", "--layer", "four")
    assert (done.code, "4 channels of four, of 4" in done.said) == (0, True)
    done = explain("--how", "layers", "--layer", "five", "-y")
    assert (done.code, "layer='five': expected one that gives maps: " in done.said) == (1, True)
    assert ", four" in done.said


def test_a_file_is_overwritten_only_where_that_is_wanted(explain: Any) -> None:
    file = Path("写真 (1)-gradcam.png")
    file.write_bytes(b"mine")
    done = explain()
    assert (done.code, file.read_bytes()) == (1, b"mine")
    assert "exists: overwrite it?" in done.said
    assert explain("--yes").code == 0
    with Image.open(file) as drawn:
        assert drawn.size == (2 * 3 * SIZE + GAP, 2 * SIZE)


def test_what_is_no_image_is_a_sentence(explain: Any, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    expected = {
        "text.png": "not an image",
        "folder": "Is a directory",
        "empty": "empty file",
        "none.png": "No such file or directory",
        "large.png": "exceed max_pixels",
    }
    for name, text in expected.items():
        done = explain("--max-pixels", 1_000_000, image=tmp_path / name)
        assert done.code == 1
        assert f"{name}: " in done.said
        assert text in done.said
        assert len(done.said.splitlines()) == 1
    assert explain("--how", "guess").code == 2


def test_a_model_without_a_map_has_no_gradcam(folder: Path, explain: Any) -> None:
    backbone = keras.Sequential([keras.Input((SIZE, SIZE, 3)), kl.Flatten(), kl.Dense(3, name="vector")])
    head = keras.Sequential([keras.Input((3,)), kl.Dense(1, "sigmoid")])
    save_model(deployable(backbone, head), folder / "flat/model.keras", CARD)
    done = explain(model="flat")
    assert (done.code, "Grad-CAM needs a convolution" in done.said) == (1, True)
    assert "--how occlusion explains any model" in done.said
    done = explain("--how", "layers", "--layer", "vector", model="flat")
    assert done.code == 1
    assert "no layer of this model gives maps" in done.said
    assert explain("--how", "occlusion", model="flat").code == 0


def test_a_package_that_is_not_installed_is_named(explain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("lime.lime_base", "shap.explainers"):
        monkeypatch.setitem(sys.modules, package, None)
    for how in ("lime", "shap"):
        done = explain("--how", how)
        assert done.code == 1
        assert "pip install 'graft[explain]'" in done.said


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 40), share=st.floats(0.02, 0.9), seed=st.integers(0, 9))
def test_an_additive_score_is_found_again(size: int, share: float, seed: int) -> None:
    """Of a score that sums weighted pixels, the fall of a square is the sum of what it covers."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    weights = rng.normal(size=(size, size, 3))
    colour = pixels.mean((0, 1)).round()
    heat = occlude(lambda images: np.array([(weights * each).sum() for each in images]), pixels, share)
    parts = (weights * (pixels - colour)).sum(-1)
    assert heat.shape == (size, size)
    assert np.isfinite(heat).all()
    side = max(1, round(share * size))
    np.testing.assert_allclose(heat[0, 0], parts[:side, :side].sum(), atol=1e-6)
    np.testing.assert_allclose(heat[-1, -1], parts[size - side :, size - side :].sum(), atol=1e-6)


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    sign=st.sampled_from([-1, 0, 1]),
    side=st.integers(1, 9),
)
@settings(deadline=None, max_examples=30)
def test_for_is_orange_against_is_blue_and_nothing_stays_gray(
    height: int, width: int, sign: int, side: int
) -> None:
    image = np.full((height, width, 3), 128, np.uint8)
    drawn = np.asarray(Image.open(BytesIO(draw_beside(image, np.full((side, side), sign * 1e-3))))).astype(
        int
    )
    assert drawn.shape == (height, 2 * width + GAP, 3)
    assert max(drawn.shape) <= 2 * SIDE + GAP
    right = drawn[:, width + GAP :]
    assert (np.sign(right[..., 0] - right[..., 2]) == sign).all()


def test_each_way_is_an_option() -> None:
    from graft.cli.explain import How

    assert list(How) == list(WAYS)
