"""Engines: what OpenVINO gives is near Keras's, and an image's features depend on nothing but the image."""

import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import cpuinfo
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graft.config.features import BackboneRow, FeaturePrecision, check_installed
from graft.data.decoding import load_pixels
from graft.features.embedding import Embedding
from graft.features.engines.choice import choose_engine
from graft.features.engines.openvino import lacks
from graft.features.extraction import extract
from graft.features.format import engine_facts, plain_rows, shard_files
from graft.features.recompute import measure_drift
from graft.features.views import ViewEmbedding
from helpers.repository import ROOT

INSTALLED = pytest.importorskip("openvino") and pytest.importorskip("nncf")
LEAST_COSINE = {"float32": 0.99999, "bfloat16": 0.9995, "int8": 0.995}
IN_A_PROCESS = """
import sys
from pathlib import Path
import pandas as pd
from graft.config.features import BackboneRow
from graft.features.embedding import Embedding
from graft.features.engines.choice import choose_engine
from graft.features.extraction import extract
from graft.features.format import plain_rows
from graft.models.backbones import Backbone
row, images, manifest, output = sys.argv[1:]
row, manifest = BackboneRow.model_validate_json(row), pd.read_csv(manifest)
engine, _ = choose_engine("openvino", "int8", Path(images), manifest)
embedding = Embedding(Backbone(row, "random", 0).build(), row, "random", "int8", engine=engine)
extract(Path(images), plain_rows(manifest), embedding, Path(output, "store"), None, Path(output, "features"))
"""


@pytest.fixture(scope="module")
def embeddings(row: BackboneRow, images: Path, manifest: pd.DataFrame, backbone: Any) -> dict[str, Embedding]:
    """Precision -> an embedding by OpenVINO of the tiny backbone."""

    def make(precision: FeaturePrecision) -> Embedding:
        engine, build_in = choose_engine("openvino", precision, images, manifest)
        assert build_in == "float32"
        return Embedding(backbone, row, "random", precision, engine=engine)

    return {precision: make(precision) for precision in ("float32", "bfloat16", "int8")}


@pytest.fixture(scope="module")
def pixels(row: BackboneRow, images: Path, manifest: pd.DataFrame) -> np.ndarray:
    return load_pixels(images, list(manifest["key"]), row.image_size)


@pytest.fixture(scope="module")
def embedded(embeddings: dict[str, Embedding], pixels: np.ndarray) -> dict[str, np.ndarray]:
    return {precision: each.embed(pixels) for precision, each in embeddings.items()}


def checksums(folder: Path) -> dict[str, str]:
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in shard_files(folder)}


@pytest.mark.long
@pytest.mark.parametrize("precision", LEAST_COSINE)
def test_features_are_near_those_of_keras(
    precision: str, embedded: dict[str, np.ndarray], pixels: np.ndarray, row: BackboneRow, backbone: Any
) -> None:
    exact = Embedding(backbone, row, "random", "float32").embed(pixels).reshape(len(pixels), -1)
    found = embedded[precision].reshape(len(pixels), -1)
    assert embedded[precision].shape == (len(pixels), *backbone.output_shape[1:])
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(found, axis=1)
    assert ((exact * found).sum(1) / lengths).min() > LEAST_COSINE[precision]
    assert precision == "float32" or not np.allclose(exact, found, rtol=1e-5)


@pytest.mark.long
@settings(max_examples=10, deadline=None, phases=[Phase.generate], report_multiple_bugs=False)
@given(order=st.permutations(range(40)), n=st.integers(1, 40), precision=st.sampled_from([*LEAST_COSINE]))
def test_neither_order_nor_company_nor_fill_shows(
    embeddings: Any, embedded: Any, pixels: np.ndarray, order: list[int], n: int, precision: str
) -> None:
    some = order[:n]
    assert np.array_equal(embeddings[precision].embed(pixels[some]), embedded[precision][some])


@pytest.fixture(scope="module")
def extracted(embeddings: Any, images: Path, manifest: pd.DataFrame, tmp_path_factory: Any) -> Path:
    """A folder with the `features` in int8, and their `store`."""
    folder = tmp_path_factory.mktemp("int8")
    rows = plain_rows(manifest)
    extract(images, rows, embeddings["int8"], folder / "store", None, folder / "features")
    return Path(folder)


@pytest.mark.long
def test_another_process_with_one_core_gives_the_same_bytes(
    extracted: Path, row: BackboneRow, images: Path, manifest: pd.DataFrame, tmp_path: Path
) -> None:
    manifest.sample(frac=1, random_state=0).to_csv(tmp_path / "manifest.csv", index=False)
    given = [row.model_dump_json(), str(images), str(tmp_path / "manifest.csv"), str(tmp_path)]
    command = ["taskset", "-c", "0"] * bool(shutil.which("taskset")) + [sys.executable, "-c", IN_A_PROCESS]
    environment = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *given], check=True, env=environment, capture_output=True)
    assert checksums(tmp_path / "features") == checksums(extracted / "features")


@pytest.mark.long
def test_the_shards_say_what_they_were_made_with(extracted: Path, features: Path) -> None:
    assert engine_facts(extracted / "features") == {"features": "int8 by openvino"}
    assert engine_facts(features) == {}


def test_the_fingerprint_names_engine_and_calibration(
    embeddings: dict[str, Embedding], manifest: pd.DataFrame, row: BackboneRow, backbone: Any
) -> None:
    plain = Embedding(backbone, row, "random", "float32").fingerprint
    assert embeddings["float32"].fingerprint.keys() - plain.keys() == {"engine", "openvino"}
    found = embeddings["int8"].fingerprint
    assert found.keys() - plain.keys() == {"engine", "openvino", "nncf", "calibration"}
    train = manifest.loc[manifest["split"] == "train", "key"]
    assert found["calibration"] == sorted(train)
    few = choose_engine("openvino", "int8", Path(), manifest.iloc[::-1])[0]
    assert few.facts("int8")["calibration"] == found["calibration"]


def test_of_many_training_images_the_first_by_key_calibrate() -> None:
    keys = [sha256(bytes([i])).hexdigest() for i in range(200)]
    manifest = pd.DataFrame({"key": keys, "split": ["train"] * 199 + ["test"]})
    engine, _ = choose_engine("openvino", "int8", Path(), manifest)
    assert engine.facts("int8")["calibration"] == sorted(keys[:199])[:128]


def test_views_are_embedded_by_the_same_model(
    embeddings: dict[str, Embedding], row: BackboneRow, backbone: Any, params: Any
) -> None:
    engine = embeddings["int8"].engine
    views = ViewEmbedding(backbone, row, "random", "int8", params.augmentation, engine=engine)
    assert views.fingerprint == embeddings["int8"].fingerprint | {
        "augmentation": views.fingerprint["augmentation"]
    }


@pytest.mark.long
def test_embedded_again_they_are_the_same_and_other_calibration_is_refused(
    embeddings: dict[str, Embedding], extracted: Path, images: Path, manifest: pd.DataFrame
) -> None:
    shards = extracted / "features"
    drift = measure_drift(images, {shards: embeddings["int8"]}, None, 0)
    assert drift.differences[0][1] < 2**-11
    assert drift.versions == {}
    train = manifest[manifest["split"] == "train"]
    other = choose_engine("openvino", "int8", images, train.iloc[3:])[0]
    changed = replace(embeddings["int8"], engine=other)
    with pytest.raises(ValueError, match="calibration: 3 of 20 images are others now"):
        measure_drift(images, {shards: changed}, 4, 0)


@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_an_engine_that_is_not_installed_is_named_with_its_command(
    package: str, monkeypatch: pytest.MonkeyPatch, manifest: pd.DataFrame
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as Python finds what is not there
    expected = rf"features.engine=openvino needs {package}, .*: pip install 'graft\[openvino\]'"
    with pytest.raises(ValueError, match=expected):
        choose_engine("openvino", "float32", Path(), manifest)
    check_installed("keras")


def test_keras_does_not_compute_in_int8(manifest: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"expected float32 or bfloat16 with features.engine=keras"):
        choose_engine("keras", "int8", Path(), manifest)


@pytest.mark.parametrize(("flag", "lacking"), [("sse4_1", "VNNI"), ("avx512_vnni", ""), ("asimddp", "")])
def test_what_the_cpu_lacks_is_named(flag: str, lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: {"flags": [flag]})
    assert lacks("int8") == lacking
    assert lacks("float32") == ""
