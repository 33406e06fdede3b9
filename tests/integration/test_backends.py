"""Keras on JAX: tests of the methods run there, and what it trained scores alike on TensorFlow, and back."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graft
from graft.data.decoding import load_pixels
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix
from graft.export.measure import measure_apart
from graft.methods.registry import METHODS
from helpers.repository import ROOT

ON_METHODS = "tests/unit/methods/test_methods.py"
# Extraction, views and all methods; a rerun in memory and on disk; fine-tuning; resumption; explanation.
TESTS = (
    f"{ON_METHODS}::TestEveryMethod::test_the_same_seed_gives_the_same_bits_in_memory_and_on_disk",
    f"{ON_METHODS}::TestFineTuning::test_the_model_gives_the_scores",
    "tests/unit/training/test_checkpoint.py::test_a_run_killed_in_each_epoch_ends_in_the_same_bits",
    "tests/unit/explain/test_gradcam.py::test_the_map_is_that_of_the_formulas",
)
ROUNDED = 5e-3  # a score on features that the cache rounded to float16, and one on the pixels
ALIKE = 1e-5


def on_jax(*command: str) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment = {**alone, "KERAS_BACKEND": "jax"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def trained_on_jax(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, predictions and images of the tests, after these have passed on JAX."""
    pytest.importorskip("jax")
    base = tmp_path_factory.mktemp("jax") / "base"
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "not long", f"--basetemp={base}"]
    done = on_jax(*tests, "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    return base


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_tensorflow_scores_what_jax_trained_alike(trained_on_jax: Path, method: str) -> None:
    model = graft.load(trained_on_jax / f"trained/models/{method}/model.keras")
    rows = first_seed(*read_predictions(trained_on_jax / f"trained/predictions/{method}.parquet"))
    pixels = load_pixels(trained_on_jax / "data/images", list(rows["key"]), model.card["image_size"])
    np.testing.assert_allclose(model.score(pixels).scores, score_matrix(rows)[0], atol=ROUNDED)
    assert "jax" in model.card["versions"]


@pytest.mark.long
def test_jax_scores_what_tensorflow_trained_alike(
    trained: Any, images: Path, manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    file = trained["inline"].model
    model = graft.load(file)
    pixels = load_pixels(images, list(manifest["key"]), model.card["image_size"])
    scores = model.score(pixels).scores
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    np.testing.assert_allclose(measure_apart(file, pixels, None).scores, scores, atol=ALIKE)
