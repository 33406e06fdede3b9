"""Views at test time: what the models' files give one by one, and what that changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graft
from graft.data.decoding import read_images
from graft.data.tta import Views
from graft.evaluation.predictions import SCORE, labels_of, read_predictions
from graft.evaluation.views import compare_views
from graft.methods.registry import METHODS
from graft.methods.tta import score_with_views
from helpers.tiers import long_but_for


@pytest.fixture(scope="module")
def drawn(params: Any) -> Views:
    return Views(2, params.augmentation)


@pytest.fixture(scope="module")
def keys(manifest: pd.DataFrame) -> list[str]:
    return list(manifest.loc[manifest["split"] != "train", "key"])


@pytest.fixture(scope="module")
def scored(trained: Any, images: Path, keys: list[str], drawn: Views) -> dict[str, np.ndarray]:
    return score_with_views({method: trained[method].model for method in METHODS}, images, keys, drawn)


@pytest.mark.parametrize("method", long_but_for(("two_stage", "scratch"), tuple(METHODS)))
def test_predict_gives_the_same_of_files_in_any_order(
    method: str, scored: Any, trained: Any, images: Path, keys: list[str], drawn: Views, tmp_path: Path
) -> None:
    for key, data in read_images(images, keys).items():
        (tmp_path / f"{key}.jpg").write_bytes(data)
    model = graft.load(trained[method].model)
    order = np.random.default_rng(0).permutation(sorted(keys))
    augmentation = drawn.augmentation.model_dump()
    table = model.predict([tmp_path / f"{key}.jpg" for key in order], 3, drawn.number, augmentation)
    expected = pd.DataFrame(scored[method], sorted(keys)).loc[order]
    np.testing.assert_allclose(table[model.classes], expected, atol=1e-5)


def test_methods_that_share_a_backbone_do_not_disturb_each_other(
    scored: Any, trained: Any, images: Path, keys: list[str], drawn: Views
) -> None:
    alone = score_with_views({"linear": trained["linear"].model}, images, keys[::-1], drawn)
    np.testing.assert_allclose(alone["linear"], scored["linear"], atol=1e-6)


@pytest.mark.long
def test_a_backbone_that_was_fine_tuned_is_not_that_of_the_others(
    tuned: Any, trained: Any, images: Path, keys: list[str], drawn: Views
) -> None:
    models = {"linear": trained["linear"].model, "tuned": tuned.live.parent / "outcome/model.keras"}
    together = score_with_views(models, images, keys[:4], drawn)["tuned"]
    alone = score_with_views({"tuned": models["tuned"]}, images, keys[:4], drawn)["tuned"]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_what_views_change_is_tested_and_measured(
    scored: Any, trained: Any, manifest: pd.DataFrame, keys: list[str]
) -> None:
    plain = {method: read_predictions(trained[method].predictions) for method in METHODS}
    rows = manifest.set_index("key").loc[sorted(keys)].reset_index()
    with_views = {}
    for method, (frame, _) in plain.items():
        one = rows[["key", "split"]].assign(y_true=rows["label"], seed=0)
        one[[SCORE + label for label in labels_of(frame)]] = scored[method]
        with_views[method] = one, {"tta": 2}
    compared = compare_views(plain, with_views, 0.95)
    assert (compared["tta"], [row["method"] for row in compared["methods"]]) == (2, list(METHODS))
    for row in compared["methods"]:
        gained = row["views"]["test"]["accuracy"] - row["plain"]["test"]["accuracy"]
        assert 10 * gained == pytest.approx(row["n_first_only"] - row["n_second_only"])
        assert row["views"]["test"]["log_loss"] != row["plain"]["test"]["log_loss"]
        assert row["p_value"] <= row["p_value_holm"] <= 1
    same = {method: (frame, {"tta": 2}) for method, (frame, _) in plain.items()}
    for row in compare_views(plain, same, 0.95)["methods"]:
        assert row["views"] == row["plain"]
        assert (row["n_first_only"], row["n_second_only"], row["p_value_holm"]) == (0, 0, 1)
