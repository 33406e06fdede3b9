"""graft.methods.ensemble: the file scores as the mean of its members does, whatever they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from graft.config.training import Head
from graft.data.decoding import load_pixels
from graft.evaluation.predictions import read_predictions, score_matrix, write_predictions
from graft.methods.ensemble import mean_of
from graft.methods.outcome import OTHER_SEEDS, Outcome, read_other_heads
from graft.models.card import read_card
from graft.models.heads import build_head
from helpers.outcomes import write_outcome
from helpers.tiers import long_but_for

Ensemble = Callable[..., Outcome]
ALL = ("linear", "two_stage")


@pytest.fixture(scope="module")
def root(train: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`models` and `predictions` of a member with one seed and of one with two."""
    folder: Path = tmp_path_factory.mktemp("members")
    for method in ALL:
        write_outcome(train(method, seeds=(3, 1)), method, folder)
    return folder


@pytest.fixture
def ensemble(train: Any, root: Path) -> Ensemble:
    def ensemble(**changes: Any) -> Outcome:
        outcome: Outcome = train("ensemble", **{"members": ALL, "trained": root, **changes})
        return outcome

    return ensemble


def scores_of(root: Path, method: str, seed: int) -> np.ndarray:
    frame, _ = read_predictions(root / "predictions" / f"{method}.parquet")
    return score_matrix(frame[frame["seed"] == seed])[0]


@pytest.mark.parametrize("weights", long_but_for(["validation"], ["equal", "validation"]))
@pytest.mark.parametrize("seeds", long_but_for(["all"], ["first", "all"]))
def test_the_model_and_the_scores_are_the_mean_of_the_members(
    ensemble: Ensemble, root: Path, images: Path, seeds: str, weights: str
) -> None:
    outcome = ensemble(seeds=seeds, weights=weights)
    members = outcome.facts["members"]
    expected = sum(m["weight"] * scores_of(root, m["method"], m["seed"]) for m in members)
    np.testing.assert_allclose(outcome.scores, expected, atol=1e-6)
    pixels = load_pixels(images, list(outcome.rows["key"]), 32).astype(np.float32)
    np.testing.assert_allclose(outcome.model(pixels), outcome.scores, atol=2e-3)
    assert outcome.facts["seeds"] == [0]
    assert outcome.facts["images_embedded"] == 40  # once for all members
    if weights == "equal":
        assert [(m["method"], m["seed"]) for m in members] == [
            ("linear", 0),
            ("two_stage", 3),
            *([("two_stage", 1)] if seeds == "all" else []),
        ]
        assert len({m["weight"] for m in members}) == 1


def test_one_head_alone_is_its_method(ensemble: Ensemble, root: Path) -> None:
    alone = ensemble(members=["two_stage"])
    np.testing.assert_allclose(alone.scores, scores_of(root, "two_stage", 3), atol=1e-7)
    names = [layer.name for layer in alone.model.get_layer("head").layers]
    assert names == ["features", "two_stage_3", "two_stage_3_weight"]


def test_the_file_holds_the_backbone_once_and_says_what_is_averaged(
    ensemble: Ensemble, root: Path, tmp_path: Path
) -> None:
    outcome = ensemble(seeds="all")
    write_outcome(outcome, "ensemble", tmp_path)
    parts = {layer.name: layer.count_params() for layer in outcome.model.layers[1:]}
    heads = outcome.model.get_layer("head").layers
    assert [h.name for h in heads if h.weights] == ["linear_0", "two_stage_3", "two_stage_1"]
    assert outcome.model.count_params() == parts["backbone"] + sum(h.count_params() for h in heads)
    facts = read_predictions(tmp_path / "predictions/ensemble.parquet")[1]
    assert facts["trainable_params"] == sum(
        weight.numpy().size for head in heads for weight in head.trainable_weights
    )
    card = read_card(tmp_path / "models/ensemble/model.keras")
    assert card["members"] == outcome.facts["members"] == facts["members"]
    assert card["weights_sha256"] == read_card(root / "models/linear/model.keras")["weights_sha256"]


@pytest.mark.long
def test_the_other_seeds_are_kept_as_they_were_trained_in_the_same_bytes(
    train: Any, root: Path, tmp_path: Path
) -> None:
    outcome = train("two_stage", seeds=(3, 1))
    write_outcome(outcome, "two_stage", tmp_path)
    first, again = (folder / "models/two_stage" for folder in (root, tmp_path))
    assert (first / OTHER_SEEDS).read_bytes() == (again / OTHER_SEEDS).read_bytes()
    ((seed, weights),) = read_other_heads(first).items()
    head = train("two_stage", seeds=(1,)).model.get_layer("head")
    assert seed == 1
    for kept, trained in zip(weights, head.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, trained)
    assert read_other_heads(root / "models/linear") == {}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_mean_of_heads_has_the_outputs_of_a_head(n_classes: int) -> None:
    params = Head(pooling="avg", normalise="l2", dense=(4,), batch_norm=False, dropout=0.1, l2=0.0)
    heads = []
    for seed in range(3):
        drawn = build_head((2, 2, 5), n_classes, params, None, seed)
        heads.append(keras.Sequential.from_config({**drawn.get_config(), "name": f"a_{seed}"}))
    x, weights = np.random.default_rng(0).normal(size=(7, 2, 2, 5)), (0.5, 0.3, 0.2)
    mean = mean_of(heads, weights)
    assert mean.output_shape == (None, 1 if n_classes == 2 else n_classes)
    expected = sum(w * keras.ops.convert_to_numpy(h(x)) for w, h in zip(weights, heads, strict=True))
    np.testing.assert_allclose(mean(x), expected, atol=1e-6)


def spoil_backbone(frame: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    facts["weights_sha256"] = "0"
    return frame


def spoil_split(frame: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:  # noqa: ARG001
    return frame[frame["key"] != frame["key"][0]]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(spoil_backbone, "weights_sha256='0'; run `dvc repro`"), (spoil_split, "images of another split")],
)
def test_members_of_different_runs_are_refused(
    ensemble: Ensemble, root: Path, tmp_path: Path, spoil: Any, said: str
) -> None:
    (tmp_path / "predictions").mkdir()
    for method in ALL:
        frame, facts = read_predictions(root / "predictions" / f"{method}.parquet")
        if method == "two_stage":
            frame = spoil(frame, facts)
        scores, classes = score_matrix(frame)
        rows = frame.rename(columns={"y_true": "label"})
        write_predictions(tmp_path / "predictions" / f"{method}.parquet", rows, scores, classes, facts)
    with pytest.raises(ValueError, match=f"of one backbone and one split, received two_stage with {said}"):
        ensemble(trained=tmp_path)
