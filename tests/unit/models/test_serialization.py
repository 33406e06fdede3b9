"""Model files: the same bytes each time, and all that is needed to use one is Keras."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from graft.data.decoding import load_pixels
from graft.evaluation.predictions import read_predictions, score_matrix
from graft.methods.registry import METHODS
from graft.models.backbones import Backbone
from graft.models.card import read_card
from graft.models.serialization import count_parameters, deployable, load_frozen, save_model

PREDICT = """
import sys
import keras
import numpy as np

for folder in sys.argv[1:]:
    model = keras.saving.load_model(folder + "/model.keras")
    images = np.load(folder + "/images.npy")
    called = np.asarray(model(images))
    assert (called == np.asarray(model(images))).all(), "a call is not repeatable: is dropout on?"
    predicted = model.predict(images, verbose=0)
    np.savez(folder + "/scores.npz", called=called, predicted=predicted)
assert "graft" not in sys.modules
"""

BUILD = """
import sys
from pathlib import Path
from graft.config.training import Head
from graft.models.heads import build_head
from graft.models.serialization import deployable, save_model

params = Head(
    pooling="avg", normalise="none", dense=(4,), batch_norm=True, dropout=0.1, l2=0.01
)
head = build_head((16, 16, 3), 3, params, None, 0)
save_model(deployable(head), Path(sys.argv[1]))
"""


def run(code: str, *arguments: object) -> None:
    """Run code in an interpreter that sees neither this folder nor the user's environment."""
    command = [sys.executable, "-I", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": os.devnull})
    assert done.returncode == 0, done.stderr


def test_model_files_give_the_predictions_without_our_code(
    trained: Any, images: Path, params: Any, tmp_path: Path
) -> None:
    expected = {}
    for method in METHODS:
        predictions, _ = read_predictions(trained[method].predictions)
        expected[method] = score_matrix(predictions)[0]
        size = getattr(getattr(params, method), "image_size", 32)
        pixels = load_pixels(images, list(predictions["key"]), size).astype(np.float32)
        shutil.copytree(trained[method].model.parent, tmp_path / method)
        np.save(tmp_path / method / "images.npy", pixels)
    run(PREDICT, *(tmp_path / method for method in METHODS))
    for method in METHODS:
        scores = np.load(tmp_path / method / "scores.npz")
        np.testing.assert_allclose(scores["called"], expected[method], atol=2e-3, err_msg=method)
        np.testing.assert_allclose(scores["predicted"], expected[method], atol=2e-3, err_msg=method)
        assert expected[method].std() > 0.02  # it tells images apart


@pytest.mark.parametrize("method", METHODS)
def test_saved_again_it_is_the_same_bytes(trained: Any, tmp_path: Path, method: str) -> None:
    card = read_card(trained[method].model)
    save_model(trained[method].outcome.model, tmp_path / "again.keras", card)
    save_model(keras.saving.load_model(tmp_path / "again.keras"), tmp_path / "loaded.keras", card)
    assert (tmp_path / "again.keras").read_bytes() == trained[method].model.read_bytes()
    assert (tmp_path / "loaded.keras").read_bytes() == trained[method].model.read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"again.keras", "loaded.keras"}


@pytest.mark.long
def test_two_processes_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(BUILD, tmp_path / "a.keras")
    keras.utils.clear_session()
    monkeypatch.setattr(sys, "argv", ["-c", str(tmp_path / "b.keras")])
    exec(BUILD, {})
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_model_file_holds_no_optimizer(trained: Any, method: str) -> None:
    """Its slots would double the size, and the number of parameters."""
    loaded = keras.saving.load_model(trained[method].model)
    facts = read_predictions(trained[method].predictions)[1]
    assert facts["total_params"] == count_parameters(loaded)["total_params"]
    assert facts["model_bytes"] < 4 * facts["total_params"] + 300_000


def test_frozen_weights_count_as_not_trainable(row: Any) -> None:
    backbone = Backbone(row, "random", 0).build()
    head = keras.Sequential([keras.Input(backbone.output_shape[1:]), keras.layers.Flatten()])
    head.add(keras.layers.Dense(1))
    units = 8 * 8 * 128
    assert count_parameters(deployable(backbone, head)) == {
        "trainable_params": units + 1,
        "total_params": units + 1 + 260_160,
    }


def test_a_loaded_backbone_stands_for_the_built_one(backbone: Any, tmp_path: Path) -> None:
    """In the file of a model that it is a part of, and in its number of trainable weights."""
    save_model(backbone, tmp_path / "backbone.keras")
    loaded = load_frozen(tmp_path / "backbone.keras")
    for name, part in (("built", backbone), ("loaded", loaded)):
        keras.utils.clear_session()  # which numbers names from the start
        layers = [keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer="ones")]
        model = deployable(part, keras.Sequential([keras.Input(part.output_shape[1:]), *layers]))
        assert count_parameters(model)["trainable_params"] == 8 * 8 * 128 + 1
        save_model(model, tmp_path / f"{name}.keras")
    assert (tmp_path / "loaded.keras").read_bytes() == (tmp_path / "built.keras").read_bytes()
