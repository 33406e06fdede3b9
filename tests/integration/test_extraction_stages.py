"""Plain images and augmented views are embedded by a stage each: who needs no views embeds none."""

import re

import pytest
import yaml

from graft.methods.registry import METHODS
from helpers.repository import ROOT, SMALL, dvc

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_waits_for_the_features_that_it_needs(copy_of_built, method):
    upstream = dvc(copy_of_built, "dag", "--dot", f"evaluate@{method}")
    stages = set(re.findall(r'"extract_(\w+)"', upstream))
    needed = {"plain": "features", "views": "views"}
    taught = METHODS[SMALL["distilled.teacher"]].features if method == "distilled" else ()
    assert stages == {needed[kind] for kind in (*METHODS[method].features, *taught)}


def test_only_the_views_depend_on_the_augmentation():
    assert STAGES["extract_features"]["params"] == [
        key for key in STAGES["extract_views"]["params"] if key not in ("features.views", "augmentation")
    ]
    assert "src/graft/data/augmentation.py" not in STAGES["extract_features"]["deps"]
