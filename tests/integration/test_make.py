"""`make setup`: an environment that was moved, or lost its Python, is made again; another is left alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import ROOT

AGAIN = "-m venv --clear .venv"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder, with a blank, where `make setup` has been run."""
    clone = tmp_path / "my clone"
    (clone / ".venv").mkdir(parents=True)
    for name in ("requirements.lock", "pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, clone)
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".installed":
            (clone / ".venv" / entry.name).symlink_to(entry)
    (clone / ".venv/.installed").write_text(f"{clone}\n")
    return clone


def planned(clone: Path) -> str:
    return subprocess.check_output(["make", "--dry-run", "setup"], cwd=clone, text=True)


def test_an_intact_environment_is_left_alone(clone: Path) -> None:
    assert AGAIN not in planned(clone)


@pytest.mark.parametrize("how", ["move", "copy"])
def test_one_of_another_place_is_made_again(clone: Path, how: str) -> None:
    moved = clone.with_name("moved")
    shutil.copytree(clone, moved, symlinks=True) if how == "copy" else clone.rename(moved)
    assert AGAIN in planned(moved)


def test_one_whose_python_is_gone_is_made_again(clone: Path) -> None:
    (clone / ".venv/bin").unlink()
    assert AGAIN in planned(clone)
