"""A Git repository with params.yaml and a stage."""

import shutil

import pytest

from helpers.repository import ROOT, run


@pytest.fixture
def work(tmp_path):
    """A Git repository with params.yaml and a stage, without a commit."""
    return lay_work_tree(tmp_path / "work")


def lay_work_tree(folder):
    (folder / "stages").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "stages/x.py").write_text("")
    run(folder, "git", "init", "--quiet")
    return folder


def commit(folder):
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "all")
    return run(folder, "git", "rev-parse", "HEAD").strip()
