"""Calibration: the deployed file's scores are those that were written, and no decision is another."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import graft
from graft.data.decoding import read_images
from graft.evaluation.calibration import describe_calibration
from graft.evaluation.metrics import evaluate
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix
from graft.methods.calibration import calibrate
from graft.methods.outcome import Outcome, describe
from graft.methods.registry import METHODS
from graft.models.heads import output_layer
from graft.models.serialization import deployable
from graft.training.decision import class_scores, decide
from helpers.outcomes import write_outcome
from helpers.tiers import long_but_for

EXACT = {"scratch": 1e-6}  # the others are scored on features, which were rounded


SCALED = tuple(method for method in METHODS if method != "ensemble")  # which is a mean of scaled ones


@pytest.fixture(params=long_but_for(("linear", "scratch"), SCALED))
def calibrated(
    request: pytest.FixtureRequest, trained: Any, manifest: pd.DataFrame, tmp_path: Path
) -> SimpleNamespace:
    """A method as it was trained, with other scores of more seeds, and calibrated on disk."""
    method = request.param
    one = trained[method].outcome
    model = keras.saving.load_model(trained[method].model)
    outcome = replace(
        one,
        model=model,
        rows=pd.concat([one.rows, one.rows.assign(seed=7)]),
        scores=np.concatenate([one.scores, np.roll(one.scores, 1, axis=1)]),
        facts={**one.facts, "seeds": [*one.facts["seeds"], 7]},
    )
    after = calibrate(outcome, "temperature")
    write_outcome(after, method, tmp_path)
    return SimpleNamespace(method=method, before=outcome, after=after, root=tmp_path, manifest=manifest)


def test_the_files_scores_are_those_written_and_decide_as_before(
    calibrated: SimpleNamespace, images: Path, tmp_path: Path
) -> None:
    before, method = calibrated.before, calibrated.method
    predictions, facts = read_predictions(tmp_path / "predictions" / f"{method}.parquet")
    kept = first_seed(predictions, facts)
    for key, data in read_images(images, list(kept["key"])).items():
        (tmp_path / f"{key}.jpg").write_bytes(data)
    model = graft.load(tmp_path / "models" / method)
    found = model.predict([tmp_path / f"{key}.jpg" for key in kept["key"]])
    written = score_matrix(kept)[0]
    np.testing.assert_allclose(found[model.classes], written, atol=EXACT.get(method, 3e-3))
    np.testing.assert_array_equal(decide(score_matrix(predictions)[0]), decide(before.scores))
    assert not np.allclose(written, before.scores[: len(written)], atol=1e-3)
    assert model.card["temperature"] == facts["temperatures"][0] != 1
    assert f", temperature {facts['temperatures'][0]:g}" in describe(calibrated.after)


def test_what_was_before_is_measured_again(calibrated: SimpleNamespace, trained: Any) -> None:
    reported, of_reported = read_predictions(trained[calibrated.method].predictions)
    plain = evaluate(reported, of_reported, calibrated.manifest, 0.95, 15)
    predictions, facts = read_predictions(calibrated.root / "predictions" / f"{calibrated.method}.parquet")
    after = evaluate(predictions, facts, calibrated.manifest, 0.95, 15)
    found = describe_calibration(first_seed(predictions, facts), facts, 0.95, 15)["calibration"]
    for split in ("validation", "test"):
        expected = {name: plain[split][name] for name in ("log_loss", "ece")}
        assert found[split] == pytest.approx(expected, abs=1e-4)
        assert after[split]["accuracy"] == plain[split]["accuracy"]
    assert after["validation"]["log_loss"] < plain["validation"]["log_loss"]
    assert describe_calibration(reported, of_reported, 0.95, 15) == {}


def make_outcome(*layers: keras.layers.Layer, n_classes: int) -> Outcome:
    """A model of 12 numbers, and its scores of 40 validation images, whose labels are often others."""
    model = deployable(keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), *layers]))
    rng = np.random.default_rng(0)
    x, classes = rng.normal(size=(40, 2, 2, 3)), [f"class {n}" for n in range(n_classes)]
    scores = class_scores(model.predict_on_batch(x))
    labels = np.where(rng.random(40) < 0.7, decide(scores), rng.integers(0, n_classes, 40))
    rows = pd.DataFrame({"label": np.array(classes)[labels], "split": "validation", "seed": 0})
    outcome = Outcome(model, pd.DataFrame(), rows, scores, classes, {"seeds": [0]}, {})
    assert calibrate(outcome, "none") is outcome
    after = calibrate(outcome, "temperature")
    np.testing.assert_allclose(class_scores(model.predict_on_batch(x)), after.scores, atol=1e-5)
    return after


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_sigmoid_is_calibrated_as_a_softmax_is(n_classes: int) -> None:
    keras.utils.set_random_seed(0)
    after = make_outcome(output_layer(n_classes), n_classes=n_classes)
    assert after.facts["temperatures"] != [1]


def test_a_model_that_does_not_end_in_such_a_layer_stays_as_it_is() -> None:
    layers = keras.layers.Dense(3), keras.layers.Softmax()
    assert "temperatures" not in make_outcome(*layers, n_classes=3).facts
