"""Each format: the answers and the card of the model that it was made of, in its own runtime."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graft.data.decoding import load_pixels, read_images
from graft.export.check import TOLERANCES
from graft.export.registry import FORMATS, Format, MissingRuntimeError, format_of
from graft.models.card import read_card
from helpers.serving import form, serving
from helpers.tiers import long_but_for

COMBINATIONS = [(name, precision) for name, each in FORMATS.items() for precision in each.precisions]
QUICK = [("onnx", "float16"), ("onnx", "int8")]

WITHOUT_TENSORFLOW = """
import sys
from pathlib import Path
import numpy as np
import graft
import graft.cli.predict, graft.report.verdict, graft.serving.stream, graft.serving.writers  # `graft predict`

model = graft.load(sys.argv[1])
np.save(sys.argv[2], model.score(np.load(sys.argv[3])).scores)
assert not {"tensorflow", "keras"} & set(sys.modules), "TensorFlow was imported"
"""

WRITE = """
import sys
from pathlib import Path
import keras
import numpy as np
from graft.export.registry import FORMATS
from graft.models.card import read_card

name, source, file = sys.argv[1:]
calibration = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
precision = FORMATS[name].precisions[-1]
FORMATS[name].load().write(
    keras.saving.load_model(source), read_card(Path(source)), Path(file), precision, calibration
)
"""


def needs(format: Format) -> None:
    for package in format.packages:
        pytest.importorskip(package.replace("-", "_"))


@pytest.fixture(scope="module")
def pixels(images: Path, manifest: Any) -> np.ndarray:
    return load_pixels(images, sorted(manifest["key"]), 32)


@pytest.fixture(scope="module")
def write(trained: Any, tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> Any:
    """A function that writes a method's model once: (format, precision, method) -> the file."""
    made: dict[tuple[str, ...], Path] = {}

    def write(name: str, precision: str, method: str = "two_stage", again: int = 0) -> Path:
        key = name, precision, method, str(again)
        if key not in made:
            needs(FORMATS[name])
            file = tmp_path_factory.mktemp(name) / f"{method}-{precision}{FORMATS[name].suffix}"
            source = trained[method]
            size = source.outcome.model.input_shape[1]
            calibration = pixels[:, :size, :size]
            card = read_card(source.model) | {"commit": None}
            FORMATS[name].load().write(source.outcome.model, card, file, precision, calibration)
            made[key] = file
        return made[key]

    return write


@pytest.mark.parametrize(("name", "precision"), long_but_for(QUICK, COMBINATIONS))
def test_it_has_the_answers_and_the_card(
    name: str, precision: str, write: Any, trained: Any, pixels: np.ndarray
) -> None:
    import graft

    file = write(name, precision)
    assert format_of(file).name == name
    assert all(each.exists() for each in FORMATS[name].files(file))
    model, keras = graft.load(file), graft.load(trained["two_stage"].model)
    assert model.card == keras.card | {"commit": None}
    scored, expected = model.score(pixels), keras.score(pixels)
    assert scored.scores.dtype == scored.features.dtype == np.float32
    assert np.abs(scored.scores - expected.scores).max() <= TOLERANCES[precision].difference
    assert np.ptp(scored.scores, axis=0).max() > 0.02  # it tells images apart
    limit = {"float32": 1e-5, "float16": 1e-2, "int8": 0.1}[precision]
    assert np.abs(scored.features - expected.features).mean() <= limit * np.abs(expected.features).mean()


@pytest.mark.parametrize(("name", "precision"), long_but_for(QUICK, COMBINATIONS))
def test_a_score_does_not_depend_on_the_batch(
    name: str, precision: str, write: Any, pixels: np.ndarray
) -> None:
    file = write(name, precision)
    session = FORMATS[name].load().open_session(file, 1)
    whole = session(pixels[:5]).scores
    for parts in ([1, 4], [2, 3], [1] * 5):
        starts = np.cumsum([0, *parts])
        split = [session(pixels[a:b]).scores for a, b in pairwise(starts)]
        np.testing.assert_allclose(np.concatenate(split), whole, atol=1e-6)
    floats = session(pixels[:5].astype(np.float32)).scores
    np.testing.assert_array_equal(floats, whole)


@pytest.mark.long
@pytest.mark.parametrize("method", ["linear", "scratch"])
@pytest.mark.parametrize("name", ["onnx", "litert", "openvino", "saved_model"])
def test_every_kind_of_model_is_taken(name: str, method: str, write: Any, trained: Any, pixels: Any) -> None:
    """With another normalisation, and without a backbone."""
    import graft

    keras = graft.load(trained[method].model)
    images = pixels[:, : keras.card["image_size"], : keras.card["image_size"]]
    precision = "int8" if "int8" in FORMATS[name].precisions else "float32"
    for each in {"float32", precision}:
        scored, expected = graft.load(write(name, each, method)).score(images), keras.score(images)
        assert np.abs(scored.scores - expected.scores).max() <= TOLERANCES[each].difference
        assert (scored.features is None) == (expected.features is None) == (method == "scratch")


@pytest.mark.long
@pytest.mark.parametrize("name", ["litert", "keras"])
def test_two_exports_are_the_same_bytes(name: str, trained: Any, tmp_path: Path) -> None:
    """Of the others, names or a digest differ."""
    needs(FORMATS[name])
    files = [tmp_path / f"{file}{FORMATS[name].suffix}" for file in ("a", "b")]
    for file in files:
        arguments = [name, str(trained["two_stage"].model), str(file)]
        subprocess.run([sys.executable, "-c", WRITE, *arguments], check=True, capture_output=True)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", long_but_for(["onnx"], ["onnx", "litert", "openvino"]))
def test_the_runtimes_need_no_tensorflow(
    name: str, write: Any, tmp_path: Path, pixels: np.ndarray, trained: Any
) -> None:
    import graft

    np.save(tmp_path / "pixels.npy", pixels)
    arguments = [write(name, "float32"), tmp_path / "scores.npy", tmp_path / "pixels.npy"]
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    expected = graft.load(trained["two_stage"].model).score(pixels).scores
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("name", ["onnx", "litert", "openvino"])
def test_a_server_on_it_answers_many_clients_as_one(name: str, write: Any, images: Path) -> None:
    pytest.importorskip("uvicorn")
    import graft
    from graft.serving.server.service import Loaded

    model = graft.load(write(name, "float32"))
    keys = sorted(pd.read_parquet(images, columns=["key"])["key"])
    photos = list(read_images(images, keys).values())
    with serving(load=lambda: Loaded(model, name)) as server, ThreadPoolExecutor(16) as pool:
        while server.client.get("/readyz").status_code != 200:
            pass
        posts = [pool.submit(server.client.post, "/v1/predict", files=form(each)) for each in photos]
        rows = [post.result().json()["predictions"][0] for post in posts]
        refused = server.client.post("/v1/explain", files=form(photos[0]))
    for row, photo in zip(rows, photos, strict=True):
        alone = model.score(model.decode(photo)[np.newaxis]).scores[0]
        np.testing.assert_allclose(list(row["scores"].values()), alone, atol=1e-5)
    assert (refused.status_code, "--runtime keras" in refused.json()["detail"]) == (404, True)


def test_int8_and_float16_are_smaller(write: Any) -> None:
    size = {precision: write("onnx", precision).stat().st_size for precision in ("float32", "float16")}
    assert size["float16"] < 0.6 * size["float32"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["onnx", "litert", "openvino", "saved_model"])
def test_no_name_of_a_class_breaks_the_card(name: str, trained: Any, tmp_path: Path) -> None:
    needs(FORMATS[name])
    odd = ["a/b ü", "<b>&\"'</b>]]>", "\x1b[31m\x00", "two\nlines", "x" * 10_000, "写真😀"]
    card = read_card(trained["two_stage"].model) | {"classes": odd}
    file, none = tmp_path / f"odd{FORMATS[name].suffix}", np.empty((0, 32, 32, 3), np.uint8)
    FORMATS[name].load().write(trained["two_stage"].outcome.model, card, file, "float32", none)
    assert FORMATS[name].load().read_card(file) == card


@pytest.mark.long
def test_labels_are_in_the_litert_file_as_the_convention_has_them(write: Any) -> None:
    import zipfile

    with zipfile.ZipFile(write("litert", "float32")) as archive:
        assert archive.namelist() == ["graft.json", "labels.txt"]
        labels = archive.read("labels.txt").decode().splitlines()
    assert labels == read_card(write("litert", "float32"))["classes"]


@pytest.mark.parametrize("name", ["keras", "onnx", "litert", "openvino"])
def test_junk_is_refused_in_words(name: str, tmp_path: Path) -> None:
    needs(FORMATS[name])
    file = tmp_path / f"junk{FORMATS[name].suffix}"
    file.write_bytes(b"junk")
    module = FORMATS[name].load()
    for use in (module.read_card, partial(module.open_session, threads=None)):
        with pytest.raises(ValueError, match=r"junk.* (has no card of graft|cannot be loaded|is no model)"):
            use(file)


def test_a_folder_that_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    module = FORMATS["saved_model"].load()
    for use in (module.read_card, module.open_session):
        with pytest.raises(ValueError, match=r"has no card of graft|cannot be loaded"):
            use(tmp_path)


def test_a_missing_runtime_is_a_sentence() -> None:
    expected = r"^x needs no_such_package, which is not installed: pip install 'graft\[lite\]'$"
    format = Format("x", "onnx_file", ".x", "lite", ("float32",))
    with pytest.raises(MissingRuntimeError, match=expected), format.needed():
        import no_such_package  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match=r"graft\.nothing") as raised, format.needed():
        import graft.nothing  # noqa: F401
    assert not isinstance(raised.value, MissingRuntimeError)
