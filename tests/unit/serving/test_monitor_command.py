"""`graft monitor` on a repository's files: its verdict, its exit status, its refusals."""

import json
import shutil
from contextlib import closing
from time import time
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from graft.cli.main import app
from graft.data.manifest import write_manifest
from graft.evaluation.predictions import write_predictions
from graft.features.format import write_features
from graft.models.card import ENTRY
from graft.serving.request_log import LEAST, RequestLog
from graft.utils.belonging import read_values
from helpers.repository import ROOT, edit

CLASSES = ["a|b", "'yes'"]
FINGERPRINT = {"weights_sha256": "f" * 64, "image_size": 96}
CARD = {"classes": CLASSES, "method": "two_stage", "dataset": "x", "confidence": 0.95, **FINGERPRINT}
CARD |= {"channels": 3}
N = 100


def draw(seed, n=N, shift=0.0):
    rng = np.random.default_rng(seed)
    features = rng.random((n, 3, 3, 8)) + shift
    return features.astype(np.float16), rng.dirichlet([4, 2], n).astype(np.float32)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("monitored")
    rows = pd.DataFrame({"key": [f"{n:064x}" for n in range(3 * N)]})
    rows = rows.assign(path=rows["key"], label=np.resize(CLASSES, 3 * N))
    rows["split"] = np.repeat(["train", "validation", "test"], N)
    write_manifest(rows, root / "data/manifest.csv")
    (root / "data/features").mkdir()
    features = draw(0, 3 * N)[0]
    write_features(root / "data/features/0.parquet", [(k, 0) for k in rows["key"]], features, FINGERPRINT)
    shutil.copy(ROOT / "params.yaml", root)
    for method in ("two_stage", "inline", "scratch"):
        lay_model(root, method, CARD | {"method": method, "weights_sha256": of(method)})
        file = root / f"models/{method}/model.keras"
        facts = {"seeds": [0], "model_bytes": file.stat().st_size}
        kept = rows[rows["split"] != "train"].assign(seed=0)
        write_predictions(root / f"predictions/{method}.parquet", kept, draw(1, 2 * N)[1], CLASSES, facts)
    return root


def of(method):
    return None if method == "scratch" else FINGERPRINT["weights_sha256"]


def lay_model(root, method, card):
    file = root / f"models/{method}/model.keras"
    file.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(file, "w") as archive:
        archive.writestr(ENTRY, json.dumps(card))


@pytest.fixture
def repo(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "repo")


def log(folder, card=CARD, start=None, **drawn):
    features, scores = draw(2, **drawn)
    with closing(RequestLog(folder, card, LEAST)) as opened:
        of_backbone = features.astype(np.float32).mean(axis=(1, 2)) if card["weights_sha256"] else None
        opened.add(of_backbone, scores, np.full(len(scores), start or time()))
    return folder


def monitor(repo, folder, *options):
    done = CliRunner().invoke(app, ["monitor", str(folder), "--root", str(repo), *options])
    return done.exit_code, done.output


def test_no_drift_ends_with_0_and_drift_with_3(repo, tmp_path):
    code, said = monitor(repo, log(tmp_path / "same"), "--json", str(tmp_path / "same.json"))
    assert (code, said.splitlines()[0][:8]) == (0, "No drift")
    code, said = monitor(repo, log(tmp_path / "moved", shift=0.2), "--json", str(tmp_path / "moved.json"))
    assert (code, said.splitlines()[0][:6]) == (3, "DRIFT:")
    numbers = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("same", "moved")]
    assert [each["drift"] for each in numbers] == [False, True]
    assert all(sentence in said for sentence in numbers[1]["sentences"])
    assert read_values(repo, "reports/monitoring") == {"two_stage": numbers[1]}
    assert [row["label"] for row in numbers[1]["classes"]] == CLASSES


def test_the_numbers_are_of_these_predictions_only(repo, tmp_path):
    monitor(repo, log(tmp_path / "log"))
    with (repo / "predictions/two_stage.parquet").open("ab") as file:
        file.write(b"0")
    assert read_values(repo, "reports/monitoring") == {}


def test_what_cannot_be_compared_ends_with_1_and_a_sentence(repo, tmp_path):
    expected = {
        "holds no log": tmp_path / "none",
        "at least 50 different images": log(tmp_path / "few", n=49),
        "they differ in dataset;": log(tmp_path / "other", CARD | {"dataset": "y"}),
    }
    for text, folder in expected.items():
        code, said = monitor(repo, folder)
        assert code == 1
        assert text in said
        assert len(said.splitlines()) == 1
    assert monitor(repo, tmp_path / "few", "--since", "yesterday")[0] == 2
    assert monitor(repo, tmp_path / "few", "--alpha", "7")[0] == 2
    assert monitor(repo, log(tmp_path / "log"), "--method", "none")[0] == 1


def test_a_repository_without_results_is_a_sentence(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    code, said = monitor(tmp_path, log(tmp_path / "log"))
    assert code == 1
    assert "model.keras" in said


@pytest.mark.parametrize(("method", "reason"), [("inline", "was fine-tuned"), ("scratch", "has no backbone")])
def test_without_features_of_its_backbone_only_answers_are_compared(repo, tmp_path, method, reason):
    edit(repo, {"inline.fine_tune.blocks": ["block_16"]})
    card = CARD | {"method": method, "weights_sha256": of(method)}
    code, said = monitor(repo, log(tmp_path / "log", card), "--json", str(tmp_path / "numbers.json"))
    assert code == 0
    assert reason in said
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert [test["name"] for test in numbers["tests"]] == ["classes", "confidence"]


def test_a_frozen_inline_has_the_features_of_the_cache(repo, tmp_path):
    log(tmp_path / "log", CARD | {"method": "inline"}, shift=0.2)
    code, said = monitor(repo, tmp_path / "log")
    assert code == 3
    assert "the images differ" in said


def test_features_of_another_backbone_are_not_compared(repo, tmp_path):
    write_features(
        repo / "data/features/0.parquet", [("0", 0)], draw(0, 1)[0], FINGERPRINT | {"image_size": 97}
    )
    code, said = monitor(repo, log(tmp_path / "log"))
    assert code == 0
    assert "of another backbone" in said


def test_since_leaves_out_what_came_before(repo, tmp_path):
    log(tmp_path / "log", shift=0.2, start=time() - 7200)
    log(tmp_path / "log")
    assert monitor(repo, tmp_path / "log", "--since", "1h")[0] == 0
    assert monitor(repo, tmp_path / "log", "--since", "1d")[0] == 3
    assert "received 0" in monitor(repo, tmp_path / "log", "--since", "2100-01-01")[1]
