import ast
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import graft
from graft.cli.main import app
from graft.cli.params import check_source
from graft.utils.timing import write_timing
from helpers.comparison import TIMING, make_comparison, make_facts, make_metrics
from helpers.repository import ROOT

runner = CliRunner()


@pytest.fixture
def root(tmp_path):
    (tmp_path / "metrics").mkdir()
    comparison = make_comparison()
    (tmp_path / "metrics/comparison.json").write_text(json.dumps(comparison))
    for row in comparison["methods"]:
        metrics = make_metrics(row["test_accuracy"]) | {"facts": make_facts(row["method"])}
        (tmp_path / f"metrics/{row['method']}.json").write_text(json.dumps(metrics))
    for stage, seconds in TIMING.items():
        write_timing(tmp_path, stage, seconds, [Path("metrics/comparison.json")])
    return tmp_path


def test_table_of_the_working_directory_and_of_a_root(root, monkeypatch):
    named = runner.invoke(app, ["table", "--root", str(root)])
    monkeypatch.chdir(root)
    here = runner.invoke(app, ["table"])
    assert (named.exit_code, named.output) == (0, here.output)
    assert "two_stage_views" in here.output
    assert "1,480" in here.output
    assert "NOT pre-trained" in here.output


def test_seconds_of_a_different_run_are_not_shown(root):
    file = root / "metrics/comparison.json"
    file.write_text(file.read_text() + "\n")
    result = runner.invoke(app, ["table", "--root", str(root)])
    assert result.exit_code == 0
    assert "1,480" not in result.output


def test_without_results_it_says_what_to_do(tmp_path):
    result = runner.invoke(app, ["table", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "metrics/<method>.json: run `dvc repro` first" in result.stderr
    assert result.stdout == ""


def test_a_broken_file_is_named(root):
    (root / "metrics/timing/train_inline.json").write_text("{")
    result = runner.invoke(app, ["table", "--root", str(root)])
    assert result.exit_code == 1
    assert "train_inline.json is not JSON" in result.stderr


def test_params_says_what_is_wrong(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text)
    assert runner.invoke(app, ["params", "--root", str(tmp_path)]).output == "params.yaml is valid\n"
    (tmp_path / "params.yaml").write_text(text + "sed: 3\n")
    result = runner.invoke(app, ["params", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "sed: unknown key; remove it or correct its name (received 3; legal here: seed, " in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("blocks: []", "blocks: [block9]", "fine_tune.blocks='block9' has no layer to train in mobilenetv2"),
        ("layer: out_relu", "layer: out_lu", "layer='out_lu' is not in MobileNetV2; its layers are "),
        (
            "Flatten: {}",
            "Flaten: {}",
            "scratch.layers[7]: expected a class of keras.layers, received 'Flaten'",
        ),
    ],
)
def test_params_knows_the_names_of_layers(tmp_path, old, new, message):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace(old, new))
    result = runner.invoke(app, ["params", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert message in result.stderr


def test_params_looks_layers_up_in_keras_only_where_they_changed(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    for seed, imported in ((0, True), (0, False), (1, False)):
        (tmp_path / "params.yaml").write_text(text.replace("seed: 0 ", f"seed: {seed} "))
        code = f"import sys, pathlib, graft.cli.main as main; main.params(pathlib.Path({str(tmp_path)!r}))"
        run = [sys.executable, "-c", f"{code}; print('keras' in sys.modules)"]
        assert subprocess.check_output(run, text=True) == f"params.yaml is valid\n{imported}\n"


def test_params_refuses_a_source_at_which_dvc_would_not_end(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        (tmp_path / "photos" / label / "1.jpg").write_bytes(b"an image")
    check_source(tmp_path / "photos")
    check_source(tmp_path / "nowhere")  # DVC says so itself
    os.mkfifo(tmp_path / "photos/cat/2.jpg")
    (tmp_path / "photos/dog/.#notes").symlink_to("nobody@host.1234")
    (tmp_path / "photos/dog/up").symlink_to("../cat")
    with pytest.raises(
        ValueError, match=r"2\.jpg' \(a named pipe\), 'dog/\.#notes' \(a link to nothing\), .*up'"
    ):
        check_source(tmp_path / "photos")


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("theano", "KERAS_BACKEND=theano: expected one of tensorflow, jax, torch, or nothing"),
        pytest.param(
            *("torch", "KERAS_BACKEND=torch is not installed: pip install 'graft[torch]'"),
            marks=pytest.mark.skipif(bool(find_spec("torch")), reason="it is installed"),
        ),
    ],
)
def test_a_backend_that_is_not_there_is_a_sentence(monkeypatch, backend, said):
    monkeypatch.setattr(graft, "BACKEND", backend)
    result = runner.invoke(app, ["params", "--root", str(ROOT)])
    assert (result.exit_code, result.output) == (1, f"{said}\n")


def test_version():
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"graft {version('graft')}\n")


OF_RESULTS = ["pandas", "pyarrow", "numpy"]
HEAVY = ["tensorflow", "keras", "scipy", "sklearn", "matplotlib", "dvc", "pygit2", *OF_RESULTS]


@pytest.mark.parametrize(("command", "needed"), [("--help", []), ("params", []), ("table", OF_RESULTS)])
def test_what_a_person_types_often_imports_nothing_heavy(root, command, needed):
    shutil.copy(ROOT / "params.yaml", root)
    if command == "params":
        runner.invoke(app, ["params", "--root", str(root)])  # from now on it knows the layers
    code = (
        "import sys\nfrom graft.cli.main import app\n"
        "try: app()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    run = [sys.executable, "-c", code, command, *([] if command == "--help" else ["--root", str(root)])]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert {*ast.literal_eval(done.stderr)} == {*needed}
