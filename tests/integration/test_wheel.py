"""graft as it is installed, from a wheel: projects, which have nothing of a checkout."""

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.repository import ROOT, make_folder, plain_environment

TINY = {"image_size: 224": "image_size: 32", "\n  C:  ": "\n  C: 1"}
LINEAR = "evaluate@linear"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of this checkout, and the packages of this one."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    (packages,) = folder.glob("venv/lib/*/site-packages")
    (packages / "ours.pth").write_text("\n".join(each for each in sys.path if each.endswith("site-packages")))
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv/bin/python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    dvc = folder / "venv/bin/dvc"
    dvc.write_text(f"#!{folder}/venv/bin/python\nfrom dvc.cli import main\nraise SystemExit(main())\n")
    dvc.chmod(0o755)
    return folder / "venv"


@pytest.fixture
def do(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(folder: Path, *command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        mine = {"PATH": f"{installed / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}
        mine |= {"GRAFT_STORE": str(tmp_path / "store"), "DVC_SITE_CACHE_DIR": str(tmp_path / "dvc")}
        variables = {name: value for name, value in plain_environment().items() if name != "PYTHONPATH"}
        done = subprocess.run(
            command, cwd=folder, env=variables | mine, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.mark.long
def test_a_project_is_made_built_upgraded_and_shares_features(
    installed: Path, do: Any, tmp_path: Path
) -> None:
    images = make_folder(tmp_path / "photos")
    for name in ("first", "second"):
        do(tmp_path, "graft", "new", name, "--images", str(images))
        params = tmp_path / name / "params.yaml"
        text = params.read_text(encoding="utf-8")
        for default, tiny in TINY.items():
            assert text.count(default) == 1
            text = text.replace(default, tiny)
        params.write_text(text, encoding="utf-8")
        said = do(tmp_path / name, "dvc", "repro", LINEAR).stdout
        assert ("0 from the store" in said) == (name == "first")
        assert (", 0 embedded" in said) == (name == "second")
    first, second = tmp_path / "first", tmp_path / "second"
    assert (first / "metrics/linear.json").read_bytes() == (second / "metrics/linear.json").read_bytes()
    (recorded,) = installed.glob("lib/*/site-packages/graft-*/direct_url.json")  # by pip from 23.1 on
    hashed = "sha256" in recorded.read_text(encoding="utf-8")
    assert ("sha256" in (first / "requirements.txt").read_text(encoding="utf-8")) == hashed
    assert "up to date" in do(first, "dvc", "repro", LINEAR).stdout
    do(tmp_path, "graft", "predict", "--model", str(first / "models/linear"), str(images))

    (metrics,) = installed.glob("lib/*/site-packages/graft/evaluation/metrics.py")
    with metrics.open("a", encoding="utf-8") as file:
        file.write("# another comment\n")
    refused = do(first, "dvc", "repro", "--force", "--single-item", LINEAR, status=255)
    assert "other code for evaluate: run `graft upgrade`" in refused.stderr
    assert "other code for evaluate" in do(first, "graft", "status", status=1).stderr
    assert "evaluate will run again: evaluation/metrics.py" in do(first, "graft", "upgrade").stdout
    again = do(first, "dvc", "repro", LINEAR).stdout
    assert "evaluate@linear" in again
    assert "[6/" not in again  # nothing was trained
