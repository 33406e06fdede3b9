"""Features of HEAD: real Git and DVC repositories, with a local cache and with a remote only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graft.blocks import Augmentation, Backbone
from graft.params import Params

N_IMAGES, N_VIEWS = 40, 60


def run(repo: Path, *command: str) -> None:
    names = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(command, cwd=repo, env={**os.environ, **names, "DVC_NO_ANALYTICS": "1"}, check=True)


def dvc(repo: Path, *arguments: str) -> None:
    run(repo, sys.executable, "-m", "dvc", *arguments, "--quiet")


@pytest.fixture(scope="module")
def author(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose HEAD tracks the features; they are in its cache and on the remote beside it."""
    repo = tmp_path_factory.mktemp("team") / "author"
    shutil.copytree(features, repo / "data/features")
    run(repo, "git", "init", "--quiet")
    dvc(repo, "init")
    dvc(repo, "remote", "add", "--default", "team", str(repo.with_name("remote")))
    dvc(repo, "add", "data/features")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", "features")
    dvc(repo, "push")
    shutil.rmtree(repo / "data/features")
    return repo


@pytest.fixture
def clone(author: Path, tmp_path: Path) -> Path:
    """A clone with an empty cache and a remote of its own to spoil."""
    run(tmp_path, "git", "clone", "--quiet", str(author), "clone")
    shutil.copytree(author.with_name("remote"), tmp_path / "remote")
    dvc(tmp_path / "clone", "remote", "modify", "team", "url", str(tmp_path / "remote"))
    return tmp_path / "clone"


@pytest.fixture
def extract(
    params: Params, row: Backbone, images: Path, manifest: pd.DataFrame, backbone: Any, tmp_path: Path
) -> Any:
    """A function that extracts with an empty store: (repo, changes) -> counts."""
    from graft.features.extract import extract_features, make_fingerprint

    def extract(repo: Path, **changes: Any) -> dict[str, float]:
        spec = changes.get("augmentation", params.augmentation)
        fingerprint = make_fingerprint(backbone, row, "random", "float32", spec)
        fingerprint |= changes.get("fingerprint", {})
        store, output = tmp_path / "store", tmp_path / "output"
        return extract_features(images, manifest, backbone, fingerprint, 3, store, repo, output)

    return extract


def flip_a_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def came_from(counts: dict[str, float]) -> tuple[float, float, float]:
    return counts["from_store"], counts["from_head"], counts["embedded"]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("place", ["author", "clone"])
def test_a_cache_or_a_remote_gives_every_row(
    place: str, extract: Any, features: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """From the local cache where the remote is gone, from the remote where the cache is empty."""
    repo = request.getfixturevalue(place)
    remote = repo.with_name("remote")
    if place == "author":
        remote.rename(remote.with_name("gone"))
    assert came_from(extract(repo)) == (0, N_IMAGES + N_VIEWS, 0)
    assert contents(tmp_path / "output") == contents(features)
    assert came_from(extract(repo)) == (N_IMAGES + N_VIEWS, 0, 0)
    if place == "author":
        remote.with_name("gone").rename(remote)


def test_only_what_is_missing_is_taken(extract: Any, author: Path, features: Path, tmp_path: Path) -> None:
    extract(None)
    entries = sorted((tmp_path / "store").glob("*/*.parquet"))
    for entry in entries[::2]:
        entry.unlink()
    from_store, from_head, embedded = came_from(extract(author))
    assert (from_store + from_head, embedded) == (N_IMAGES + N_VIEWS, 0)
    assert from_store > 0
    assert contents(tmp_path / "output") == contents(features)


def test_another_augmentation_takes_the_plain_rows(extract: Any, author: Path, params: Params) -> None:
    other = Augmentation.model_validate({**params.augmentation.model_dump(), "rotation": 0.3})
    assert came_from(extract(author, augmentation=other)) == (0, N_IMAGES, N_VIEWS)


def test_another_backbone_takes_none(extract: Any, author: Path) -> None:
    assert came_from(extract(author, fingerprint={"weights_sha256": "0"})) == (0, 0, N_IMAGES + N_VIEWS)


@pytest.mark.parametrize("change", [lambda data: data[::-1], lambda data: data[:-1], flip_a_bit])
def test_a_damaged_object_is_reported_and_embedded_again(
    extract: Any, clone: Path, features: Path, tmp_path: Path, change: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (tmp_path / "remote").rglob("*"):
        if file.is_file() and file.suffix != ".dir":
            file.chmod(0o644)
            file.write_bytes(change(file.read_bytes()))
    assert came_from(extract(clone)) == (0, 0, N_IMAGES + N_VIEWS)
    assert contents(tmp_path / "output") == contents(features)
    assert "features of HEAD: data/features/0.parquet is damaged" in capsys.readouterr().out


def no_repository(repo: Path, _: Path) -> None:
    repo.mkdir()


def no_commit(repo: Path, _: Path) -> None:
    repo.mkdir()
    run(repo, "git", "init", "--quiet")
    dvc(repo, "init")


def no_features(repo: Path, _: Path) -> None:
    no_commit(repo, _)
    run(repo, "git", "commit", "--quiet", "--allow-empty", "--message", "nothing")


def no_remote(repo: Path, clone: Path) -> None:
    shutil.rmtree(clone.with_name("remote"))
    clone.rename(repo)


@pytest.mark.parametrize("make", [no_repository, no_commit, no_features, no_remote])
def test_without_features_of_head_everything_is_embedded(
    extract: Any, clone: Path, tmp_path: Path, make: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "repo", clone)
    assert came_from(extract(tmp_path / "repo")) == (0, 0, N_IMAGES + N_VIEWS)
    assert "Traceback" not in "".join(capfd.readouterr())
