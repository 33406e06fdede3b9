"""Where a page comes from, and the command that rebuilds it."""

import os
import platform
import re
import shutil

from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import dump_yaml, load_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.report.provenance import (
    NO_COMMIT,
    describe_commit,
    describe_machine,
    list_overrides,
    name_dataset,
)
from helpers.repository import ROOT, edit, run
from helpers.work_trees import commit

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="$", exclude_categories=("Cc",)), max_size=9)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.sampled_from([0.1, 1e-05, -2.5, "null", "TRUE", "007", "a b", "it's", '"', "\\", 'a\\"', "~/x"]),
    TEXT,
)
KEYS = st.sampled_from(["learning_rate", "a", "b-1", "layer2"])
LAYERS = st.dictionaries(KEYS, st.dictionaries(KEYS, SCALARS, max_size=2), min_size=1, max_size=1)
LISTS = st.lists(SCALARS | LAYERS, max_size=3)
BLOCKS = st.dictionaries(KEYS, st.tuples(SCALARS | LISTS, SCALARS | LISTS), max_size=3)
CLASSES = st.sampled_from(["my cat", "a,b", "a:b"])
COUNTS = st.dictionaries(KEYS | CLASSES, st.integers(0, 99), min_size=1, max_size=2)


@settings(max_examples=100, deadline=None)
@given(BLOCKS, BLOCKS, st.tuples(st.none(), COUNTS) | st.tuples(COUNTS, st.none()))
def test_the_overrides_turn_one_params_yaml_into_the_other(tmp_path_factory, top, inner, counts):
    """As DVC itself applies them."""
    old, new = (
        {**_side(top, i), "block": _side(inner, i), "max_per_class": counts[i]} | [{}, {"row": {"x": 1}}][i]
        for i in (0, 1)
    )
    file = tmp_path_factory.getbasetemp() / "params.yaml"
    dump_yaml(file, old)
    apply_overrides(file, list(list_overrides(old, new)))
    assert load_yaml(file) == new


def _side(pairs, i):
    return {key: pair[i] for key, pair in pairs.items()}


def test_a_folder_is_called_by_its_own_name():
    assert name_dataset("folder", "/home/me/my photos/") == "my photos"
    assert name_dataset("folder", "photos.zip") == "photos.zip"
    assert name_dataset("demo", "photos") == "demo"


def test_without_a_commit_or_git_no_command_is_promised(work, tmp_path, monkeypatch):
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(ROOT / "params.yaml", bare)
    for folder in (work, bare):
        assert describe_commit(folder) == NO_COMMIT
    monkeypatch.setenv("PATH", str(bare))
    assert describe_commit(work) == NO_COMMIT


def test_the_commit_its_date_and_the_command_that_rebuilds_it(work):
    commit_hash = commit(work)
    found = describe_commit(work)
    assert found.commit == commit_hash[:12]
    assert found.date == run(work, "git", "log", "-1", "--format=%cI").strip()
    assert found.command == f"git switch --detach {commit_hash[:12]} && make repro"
    assert found.notes == ()
    (work / "graft.yaml").touch()
    commit(work)
    assert describe_commit(work).command.endswith(" && graft repro")


def test_what_differs_from_the_commit_is_set_or_named(work):
    commit(work)
    edit(work, {"dataset": "folder", "source": "/home/me/my photos", "features.engine": "openvino"})
    (work / "stages/x.py").write_text("1")
    (work / "stages/é.py").write_text("")
    found = describe_commit(work)
    command = "dvc exp run -S dataset=folder -S 'source=\"/path/to/my photos\"' -S features.engine=openvino"
    assert found.command.endswith(f'&& make setup && PATH="$PWD/.venv/bin:$PATH" {command}')
    assert found.changes == (
        ("dataset", "demo", "folder"),
        ("source", "photos", '"/path/to/my photos"'),
        ("features.engine", "keras", "openvino"),
    )
    notes = " ".join(found.notes)
    assert "3 values of params.yaml differ from that commit." in notes
    assert "Code that is not in that commit was in use: stages/x.py, stages/é.py." in notes
    assert "the same images" in notes
    assert "pip install 'graft[openvino]'" in notes
    assert "“/path/to” stands for a folder" in notes
    assert "/home/me" not in f"{found}"


def test_the_machine_has_no_name_and_the_versions_are_installed_ones():
    machine, versions = describe_machine()
    assert f"{os.cpu_count()} cores, {platform.system()}" in machine
    assert platform.node() not in machine
    assert re.fullmatch(r"Python 3[\d.]+, graft [\d.]+, tensorflow [\d.]+, keras [\d.]+, .+", versions)


def test_values_edited_after_the_training_runs_are_named(work):
    """By what dvc.lock records; a stage whose parameters are as they were says nothing."""
    params = load_yaml(work / "params.yaml")
    ran = {"two_stage": params["two_stage"], "seeds": params["seeds"], "features.memory_limit": 2.0}
    stages = {"train_two_stage": {"params": {"params.yaml": ran}}, "train_x": {}, "split": {}}
    dump_yaml(work / "dvc.lock", {"schema": "2.0", "stages": stages})
    commit(work)
    assert describe_commit(work).notes == ()
    edit(work, {"two_stage.learning_rate": 0.5, "seeds": [7], "linear.C": 1.0})
    assert describe_commit(work).notes[0] == (
        "params.yaml was edited after the training runs, so these values are not theirs: "
        "two_stage.learning_rate, seeds."
    )
