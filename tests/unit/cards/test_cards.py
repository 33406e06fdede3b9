"""The cards: the libraries of Hugging Face and of Croissant read them, whatever classes are called."""

import json
import re
import shutil
from dataclasses import replace
from zipfile import ZipFile

import mlcroissant
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from graft.cards.croissant import build_croissant
from graft.cards.dataset_facts import DatasetFacts, describe_dataset
from graft.cards.model_card import build_card, escape, read_results
from graft.cli.main import app
from graft.data.datasets import list_datasets
from graft.data.decoding import read_images
from graft.export.registry import FORMATS
from graft.models.card import ENTRY
from graft.utils.files import digest, write_json
from helpers.pages import MANY, make_inputs, write_inputs
from helpers.repository import ROOT, edit

ODD = [
    "a|b",
    "---",
    "'yes'",
    '"no"',
    "null",
    "- x: y",
    "# h",
    "<script>",
    "`code`",
    "写真",
    "😀",
    "a\\",
    "[l](u)",
]
# Of folders: what UTF-8 can write, and a path can hold.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=30)
VERSIONS = dict.fromkeys(("graft", "keras", "tensorflow", "numpy", "pillow"), "1.0")


pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning:rdflib")


def lay(root, classes):
    """A repository with the results of all methods, and a file with a card in place of each model."""
    inputs = make_inputs(classes)
    write_inputs(inputs, root)
    shutil.copy(ROOT / "params.yaml", root)
    for method, (frame, facts) in inputs.predictions.items():
        file = root / f"models/{method}/model.keras"
        card = {"classes": classes, "method": method, "dataset": "demo", "image_size": 128, "channels": 3}
        card |= {name: facts[name] for name in ("backbone", "weights", "pretrained")}
        card |= {"weights_sha256": "f" * 64, "seed": 0, "confidence": 0.95, "versions": VERSIONS}
        n = {
            split: int((frame[frame["seed"] == 0]["split"] == split).sum())
            for split in ("validation", "test")
        }
        card |= {"n_images": {"train": 10, **n}, "accuracy": {split: {"n": n[split]} for split in n}}
        with ZipFile(file, "w") as archive:
            archive.writestr(ENTRY, json.dumps(card))
        size = {"model_bytes": file.stat().st_size}
        rewrite_facts(root, method, size)
    return inputs


def rewrite_facts(root, method, changes):
    file = root / f"predictions/{method}.parquet"
    table = pq.read_table(file)
    facts = json.loads(table.schema.metadata[b"facts"]) | changes
    pq.write_table(table.replace_schema_metadata({"facts": json.dumps(facts)}), file)
    metrics = json.loads((root / f"metrics/{method}.json").read_text())
    (root / f"metrics/{method}.json").write_text(json.dumps(metrics | {"facts": facts}))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    root = tmp_path_factory.mktemp("odd")
    lay(root, sorted(ODD))
    return root


def card(root, *arguments):
    done = CliRunner().invoke(app, ["card", *arguments, "--root", str(root)])
    return done.exit_code, done.output


def test_hugging_face_reads_a_card_of_odd_classes(odd):
    assert card(odd)[0] == 0
    for method in ("linear", "scratch"):
        read = ModelCard.load(odd / f"models/{method}/README.md")
        accuracy = json.loads((odd / f"metrics/{method}.json").read_text())["test"]["accuracy"]
        assert read.data.eval_results[0].metric_value == accuracy
        assert (read.data.library_name, read.data.license) == ("keras", "unknown")
        assert read.data.pipeline_tag == "image-classification"
        rows = re.findall(r"^\|.*\|$", read.text, re.MULTILINE)
        assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} <= {3, 5, 6}
        assert sum(row.startswith(tuple(f"| {escape(name)} |" for name in ODD)) for row in rows) == len(ODD)


@pytest.fixture(scope="module")
def results(odd):
    return read_results(odd, "two_stage")


@settings(max_examples=15)
@given(name=NAMES)
def test_no_name_of_a_dataset_breaks_a_card(results, name):
    text = build_card(replace(results, dataset=replace(results.dataset, name=name)), "apache-2.0")
    read = ModelCard(text)
    assert read.data.eval_results[0].dataset_name == name
    assert read.data.license == "apache-2.0"
    assert read.text.count("\n## ") == 8


def test_a_card_names_features_that_the_file_does_not_compute(results):
    text = build_card(replace(results, card={**results.card, "features": "int8 by openvino"}))
    assert "cached features of the backbone in int8 by openvino; the file itself computes in" in text
    assert "cached features" not in build_card(results)


def test_of_many_classes_the_worst_are_listed(tmp_path):
    lay(tmp_path, MANY)
    assert card(tmp_path, "linear")[0] == 0
    assert not (tmp_path / "models/scratch/README.md").exists()
    text = (tmp_path / "models/linear/README.md").read_text()
    assert "and 10 more" in text
    assert "The 30 classes that are found least often" in text


def test_results_of_different_runs_are_refused(tmp_path):
    lay(tmp_path, ["a", "b"])
    rewrite_facts(tmp_path, "linear", {"model_bytes": 1})
    code, said = card(tmp_path, "linear")
    assert code == 1
    assert "different runs" in said
    assert card(tmp_path, "nothing")[0] == 1
    assert "no model in" in card(tmp_path / "empty")[1]


def test_only_exports_that_passed_are_shown(tmp_path):
    lay(tmp_path, ["a", "b"])
    folder = tmp_path / "models/linear"
    record = {"format": "onnx", "precision": "float32", "file": "exports/float32.onnx", "bytes": 10}
    record |= {
        "max_difference": 1e-6,
        "differing_answers": 0,
        "n_images": 100,
        "accuracy": 0.8,
        "passed": True,
    }
    records = [record | {"format": name, "file": f"exports/{name}{FORMATS[name].suffix}"} for name in FORMATS]
    records.append(record | {"format": "litert", "file": "exports/int8.tflite", "passed": False})
    (folder / "exports").mkdir(exist_ok=True)
    for each in records:
        (folder / each["file"]).write_bytes(b"0" * 10)
    write_json({"model_sha256": digest(folder / "model.keras"), "exports": records}, folder / "exports.json")
    assert card(tmp_path, "linear")[0] == 0
    text = (folder / "README.md").read_text()
    assert all(f"`{each['file']}`" in text for each in records[:-1])
    assert "int8.tflite" not in text
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, "card", "exec")


@pytest.mark.long
def test_the_code_of_a_card_runs_as_it_stands(results, trained, images, tmp_path, monkeypatch):
    import graft

    model = trained["two_stage"].model
    of_model = graft.load(model).card
    (tmp_path / "exports").mkdir()
    shutil.copy(model, tmp_path)
    (photo,) = read_images(images, [sorted(pd.read_parquet(images, columns=["key"])["key"])[0]]).values()
    (tmp_path / "photo.jpg").write_bytes(photo)
    record = {"bytes": 1, "max_difference": 0.0, "differing_answers": 0, "n_images": 1, "accuracy": 1.0}
    records = []
    for each in FORMATS.values():
        file = f"exports/two_stage-float32{each.suffix}"
        none = np.empty((0, 32, 32, 3), np.uint8)
        each.load().write(keras_model(model), of_model, tmp_path / file, "float32", none)
        records.append(record | {"format": each.name, "precision": "float32", "file": file})
    text = build_card(replace(results, card=dict(results.card) | of_model, exports=records))
    codes = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(codes) == 3 + len(FORMATS)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(codes[0], names)
    expected = graft.load(model).predict("photo.jpg").iloc[0, 3:].to_numpy(float)
    for code in codes[1:]:
        exec(code, names)
        found = names.pop("scores", None)
        found = found[0] if found is not None else names.pop("table").iloc[0, 3:].to_numpy(float)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def keras_model(file):
    import keras

    return keras.saving.load_model(file, compile=False)


def test_a_card_names_no_folder_of_this_machine(tmp_path):
    lay(tmp_path, ["a", "b"])
    edit(tmp_path, {"source": "/home/someone/secret/photos", "weights": "/home/someone/weights.h5"})
    assert card(tmp_path)[0] == 0
    assert "someone" not in (tmp_path / "models/linear/README.md").read_text()
    assert "someone" not in (tmp_path / "data/croissant.json").read_text()


@pytest.mark.parametrize("dataset", list_datasets())
def test_croissant_describes_every_dataset(dataset, odd, tmp_path):
    shutil.copytree(odd, tmp_path / "repo")
    edit(tmp_path / "repo", {"dataset": dataset, "source": "/a/my | photos"})
    assert card(tmp_path / "repo")[0] == 0
    read = mlcroissant.Dataset(str(tmp_path / "repo/data/croissant.json"))
    assert not read.metadata.ctx.issues.errors
    rows = [
        # mlcroissant takes a class called "null" for a missing value.
        {name.removeprefix("images/"): (value or b"null").decode() for name, value in row.items()}
        for row in read.records("images")
    ]
    manifest = pd.read_csv(odd / "data/manifest.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(pd.DataFrame(rows), manifest, check_dtype=False)
    sources = describe_dataset(dataset, "photos").sources
    urls = [each.content_url for each in read.metadata.distribution]
    assert urls == [*(source.url for source in sources), "manifest.csv"]


@settings(max_examples=15)
@given(name=NAMES)
def test_no_name_of_a_dataset_breaks_croissant(name):
    facts = DatasetFacts(name, "unknown", "", "https://a.org", ())
    read = mlcroissant.Dataset(json.loads(json.dumps(build_croissant(facts, "0" * 64))))
    assert not read.metadata.ctx.issues.errors
