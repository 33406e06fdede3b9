"""Files that come with graft: they are there, also in a wheel, and are what they should be."""

import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from graft.data.datasets import demo
from graft.models import bundled
from graft.utils.bundled import read_bundled
from helpers.repository import ROOT

NAMES = {"CREDITS.csv", "README.md", demo.ARCHIVE, bundled.FILE}


def test_the_package_has_them() -> None:
    assert {file.name for file in (files("graft") / "bundled").iterdir()} == NAMES


@pytest.mark.parametrize(("name", "checksum"), [(demo.ARCHIVE, demo.SHA256), (bundled.FILE, bundled.SHA256)])
def test_their_content_is_checked(name: str, checksum: str) -> None:
    assert read_bundled(name, checksum) == (ROOT / "src/graft/bundled" / name).read_bytes()
    other = checksum[:-1] + ("0" if checksum[-1] != "0" else "1")
    message = rf"{name} is damaged: expected sha256={other}, received sha256={checksum}; restore it from Git"
    with pytest.raises(ValueError, match=message):
        read_bundled(name, other)


def test_one_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"birds\.zip is missing, which comes with graft; restore it"):
        read_bundled("birds.zip", "")


def test_a_wheel_has_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in NAMES:
            assert archive.read(f"graft/bundled/{name}") == (ROOT / "src/graft/bundled" / name).read_bytes()
