"""Plain images and augmented views are embedded by a stage each: who needs no views embeds none."""

import json
import re

import pytest
import yaml

from graft.methods.registry import METHODS
from helpers.repository import N_IMAGES, ROOT, SMALL, commit, copy_project, dvc, edit, executed, run

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A small repository in which no stage has run."""
    repo = tmp_path_factory.mktemp("fresh") / "repo"
    copy_project(repo)
    (repo / "dvc.lock").unlink()
    edit(repo, SMALL)
    run(repo, "git", "init", "--quiet")
    commit(repo, "code")
    return repo


@pytest.mark.parametrize("method", METHODS)
def test_a_method_waits_for_the_features_that_it_needs(repo, method):
    upstream = dvc(repo, "dag", "--dot", f"evaluate@{method}")
    stages = set(re.findall(r'"extract_(\w+)"', upstream))
    needed = {"plain": "features", "views": "views"}
    assert stages == {needed[kind] for kind in METHODS[method].features}


def test_only_the_views_depend_on_the_augmentation():
    assert STAGES["extract_features"]["params"] == [
        key for key in STAGES["extract_views"]["params"] if key not in ("features.views", "augmentation")
    ]
    assert "src/graft/data/augmentation.py" not in STAGES["extract_features"]["deps"]


@pytest.mark.long
def test_an_experiment_on_two_stage_embeds_plain_images_only(repo):
    output = dvc(repo, "exp", "run", "evaluate@two_stage", "--set-param", "two_stage.head.dropout=0.25")
    assert "extract_views" not in executed(output)
    assert re.search(rf"^  0 from the store, .* {N_IMAGES} embedded; ", output, re.MULTILINE)
    assert not (repo / "data/views").exists()
    counts = json.loads((repo / "metrics/timing/extract_features.json").read_text())["values"]
    assert set(counts) == {"from_store", "from_head", "embedded", "seconds_embedding", "seconds"}
    assert not (repo / "metrics/timing/extract_views.json").exists()

    again = dvc(repo, "exp", "run", "evaluate@two_stage", "--set-param", "augmentation.rotation=0.3")
    assert executed(again) == []
