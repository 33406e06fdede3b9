"""Features of HEAD: real Git and DVC repositories, with a local cache and with a remote only."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dvc.utils.serialize import loads_yaml

from graft.config.features import Augmentation, BackboneRow
from graft.features.format import read_features, read_metadata, write_features
from graft.features.gc import brought, drop
from graft.features.inventory import read_store
from graft.methods.params import Params
from helpers.repository import VIEWS, dvc, run
from helpers.tiers import long_but_for

N_IMAGES, N_VIEWS = 40, 60
FOLDERS = ("data/features", "data/views")


def track(repo: Path, message: str) -> None:
    """Commit what is in data/features and data/views, and remove it from the work tree."""
    dvc(repo, "add", "--quiet", *FOLDERS)
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", message)
    for folder in FOLDERS:
        shutil.rmtree(repo / folder)


@pytest.fixture(scope="module")
def author(cached: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose HEAD tracks the features; they are in its cache and on the remote beside it."""
    repo = tmp_path_factory.mktemp("team") / "author"
    shutil.copytree(cached, repo / "data", ignore=shutil.ignore_patterns("store"))
    run(repo, "git", "init", "--quiet")
    dvc(repo, "init")
    dvc(repo, "remote", "add", "--default", "team", str(repo.with_name("remote")))
    track(repo, "features")
    dvc(repo, "push")
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
    params: Params, row: BackboneRow, images: Path, manifest: pd.DataFrame, backbone: Any, tmp_path: Path
) -> Any:
    """A function that extracts both with an empty store: (repo, changes) -> the counts of both.

    The outputs are in the repository, or in a folder `nowhere` where that is None.
    """
    from graft.features.embedding import Embedding
    from graft.features.extraction import extract as extract_rows
    from graft.features.format import plain_rows, view_rows
    from graft.features.views import ViewEmbedding

    def extract(repo: Path | None, **changes: Any) -> tuple[dict[str, float], ...]:
        spec = changes.get("augmentation", params.augmentation)
        made = backbone, row, changes.get("weights", "random"), "float32"
        store, data = tmp_path / "store", (repo or tmp_path / "nowhere") / "data"
        plain, views = Embedding(*made), ViewEmbedding(*made, spec)
        return (
            extract_rows(images, plain_rows(manifest), plain, store, repo, data / "features"),
            extract_rows(images, view_rows(manifest, VIEWS), views, store, repo, data / "views"),
        )

    return extract


def flip_a_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def came_from(counts: tuple[dict[str, float], ...]) -> tuple[float, float, float]:
    from_store, from_head, embedded = (
        sum(each[place] for each in counts) for place in ("from_store", "from_head", "embedded")
    )
    return from_store, from_head, embedded


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of the features and views in a folder."""
    files = [file for name in ("features", "views") for file in (folder / name).iterdir()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.mark.parametrize("place", ["author", "clone"])
def test_a_cache_or_a_remote_gives_every_row(
    place: str, extract: Any, cached: Path, request: pytest.FixtureRequest
) -> None:
    """From the local cache where the remote is gone, from the remote where the cache is empty."""
    repo = request.getfixturevalue(place)
    remote = repo.with_name("remote")
    if place == "author":
        remote.rename(remote.with_name("gone"))
    assert came_from(extract(repo)) == (0, N_IMAGES + N_VIEWS, 0)
    assert contents(repo / "data") == contents(cached)
    assert came_from(extract(repo)) == (N_IMAGES + N_VIEWS, 0, 0)
    if place == "author":
        remote.with_name("gone").rename(remote)


def test_only_what_is_missing_is_taken(extract: Any, author: Path, cached: Path, tmp_path: Path) -> None:
    extract(None)
    entries = sorted((tmp_path / "store").glob("*/*.parquet"))
    for entry in entries[::2]:
        entry.unlink()
    from_store, from_head, embedded = came_from(extract(author))
    assert (from_store + from_head, embedded) == (N_IMAGES + N_VIEWS, 0)
    assert from_store > 0
    assert contents(author / "data") == contents(cached)


def test_another_augmentation_takes_the_plain_rows(extract: Any, author: Path, params: Params) -> None:
    other = Augmentation.model_validate({**params.augmentation.model_dump(), "rotation": 0.3})
    assert came_from(extract(author, augmentation=other)) == (0, N_IMAGES, N_VIEWS)


def test_another_backbone_takes_none(extract: Any, author: Path) -> None:
    assert came_from(extract(author, weights="other.h5")) == (0, 0, N_IMAGES + N_VIEWS)


@pytest.mark.parametrize("change", [lambda data: data[::-1], lambda data: data[:-1], flip_a_bit])
def test_a_damaged_object_is_reported_and_embedded_again(
    extract: Any, clone: Path, cached: Path, tmp_path: Path, change: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (tmp_path / "remote").rglob("*"):
        if file.is_file() and file.suffix != ".dir":
            file.chmod(0o644)
            file.write_bytes(change(file.read_bytes()))
    assert came_from(extract(clone)) == (0, 0, N_IMAGES + N_VIEWS)
    assert contents(clone / "data") == contents(cached)
    output = capsys.readouterr().out
    for folder in FOLDERS:
        assert (
            f"features of HEAD: {folder}/0.parquet is not used, its images are embedded again: damaged"
            in output
        )


@pytest.mark.parametrize("place", ["cache", "remote"])
def test_a_repository_in_a_folder_of_a_larger_one(
    extract: Any, author: Path, cached: Path, tmp_path: Path, place: str
) -> None:
    """DVC roots the files of a commit at the top of the Git repository."""
    repo = tmp_path / "large/with a space/graft"
    repo.mkdir(parents=True)
    run(tmp_path / "large", "git", "init", "--quiet")
    dvc(repo, "init", "--subdir")
    dvc(repo, "remote", "add", "--default", "team", str(author.with_name("remote")))
    shutil.copytree(cached, repo / "data", ignore=shutil.ignore_patterns("store"))
    track(repo, "features")
    if place == "remote":
        shutil.rmtree(repo / ".dvc/cache")
    assert came_from(extract(repo)) == (0, N_IMAGES + N_VIEWS, 0)
    assert contents(repo / "data") == contents(cached)


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


@pytest.mark.parametrize(
    "make", long_but_for([no_commit, no_remote], [no_repository, no_commit, no_features, no_remote])
)
def test_without_features_of_head_everything_is_embedded(
    extract: Any, clone: Path, tmp_path: Path, make: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "repo", clone)
    assert came_from(extract(tmp_path / "repo")) == (0, 0, N_IMAGES + N_VIEWS)
    output = "".join(capfd.readouterr())
    assert "Traceback" not in output
    assert "failed to load" not in output


@pytest.fixture
def commit_features(author: Path, cached: Path, tmp_path: Path) -> Any:
    """A function that commits a change of all values of the plain features: change -> the repository."""

    def commit(change: Any) -> Path:
        repo = tmp_path / "repo"
        if not repo.exists():
            shutil.copytree(author, repo)
        shutil.rmtree(repo / "data", ignore_errors=True)
        run(repo, "git", "checkout", "--quiet", "data")
        for name in ("features", "views"):
            shutil.copytree(cached / name, repo / "data" / name)
        shard = repo / "data/features/0.parquet"
        rows, values = read_features(shard)
        write_features(shard, rows, change(values.copy()), read_metadata(shard)["fingerprint"])
        track(repo, "changed")
        return repo

    return commit


def with_a_nan(values: np.ndarray) -> np.ndarray:
    values[3, 0, 0, 0] = np.nan
    return values


def drifted(values: np.ndarray) -> np.ndarray:
    """Within the tolerance, as those of another machine may be: small values by one step of float16."""
    small = np.abs(values) < np.abs(values).max((1, 2, 3), keepdims=True) / 4
    return np.where(small, np.nextafter(values, np.float16(np.inf)), values)


@pytest.mark.parametrize(
    ("change", "said"),
    long_but_for(
        [(with_a_nan, "1 of 40 features hold NaN or an infinite value"), (np.negative, "16 of 16 rows")],
        [
            (with_a_nan, "1 of 40 features hold NaN or an infinite value"),
            (np.negative, "16 of 16 rows"),
            (lambda values: values[..., :-1], "expected shape=[128, 8, 8], float16"),
            (lambda values: values[:, 0, 0], "received shape=[128] in"),
        ],
    ),
)
def test_wrong_features_of_a_commit_are_reported_and_embedded_again(
    extract: Any, commit_features: Any, cached: Path, change: Any, said: str, capsys: Any
) -> None:
    repo = commit_features(change)
    assert came_from(extract(repo)) == (0, N_VIEWS, N_IMAGES)
    assert contents(repo / "data") == contents(cached)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("features of HEAD")]
    assert "embedded again: " in line
    assert said in line


def test_after_a_revert_the_store_wins_until_what_the_commit_brought_is_dropped(
    extract: Any, commit_features: Any, cached: Path, tmp_path: Path
) -> None:
    repo = commit_features(drifted)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repo, text=True).strip()
    assert came_from(extract(repo)) == (0, N_IMAGES + N_VIEWS, 0)
    wrong = contents(repo / "data")
    assert wrong != contents(cached)
    run(repo, "git", "revert", "--no-edit", "HEAD")
    assert came_from(extract(repo)) == (N_IMAGES + N_VIEWS, 0, 0)
    assert contents(repo / "data") == wrong

    for commits, left in ((["f" * 40], True), ([commit[:7]], False), ([], False)):
        drop([file for each in brought(read_store(tmp_path / "store"), commits) for file in each.files])
        assert any(read_store(tmp_path / "store")) == left
    assert came_from(extract(repo)) == (0, N_IMAGES + N_VIEWS, 0)
    assert contents(repo / "data") == contents(cached)


@pytest.fixture(scope="module")
def branches(cached: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository on branch `ours`, with `theirs`; each tracks the rows of half of the keys."""
    repo = tmp_path_factory.mktemp("merge") / "repo"
    no_features(repo, repo)
    run(repo, "git", "tag", "start")
    for branch, digits in (("theirs", "01234567"), ("ours", "89abcdef")):
        run(repo, "git", "switch", "--quiet", "--create", branch, "start")
        for name in ("features", "views"):
            whole = cached / name / "0.parquet"
            rows, values = read_features(whole)
            half = [i for i, (key, _) in enumerate(rows) if key[0] in digits]
            shard = repo / "data" / name / "0.parquet"
            shard.parent.mkdir(parents=True)
            fingerprint = read_metadata(whole)["fingerprint"]
            write_features(shard, [rows[i] for i in half], values[half], fingerprint)
        track(repo, branch)
        shutil.rmtree(repo / "data")
    return repo


class TestMerge:
    """Two people embedded half of the images each, on branches of their own."""

    @pytest.fixture
    def merging(self, branches: Path, tmp_path: Path) -> Path:
        """A copy in which the merge is not committed yet, and has dropped the features of both sides."""
        repo = Path(shutil.copytree(branches, tmp_path / "merging"))
        run(repo, "git", "merge", "--quiet", "--no-commit", "--strategy", "ours", "theirs")
        run(repo, "git", "rm", "--quiet", *(f"{folder}.dvc" for folder in FOLDERS))
        return repo

    @pytest.mark.parametrize("committed", [False, True])
    def test_what_either_side_embedded_is_not_embedded_again(
        self, committed: bool, extract: Any, merging: Path, cached: Path
    ) -> None:
        if committed:
            run(merging, "git", "commit", "--quiet", "--message", "merge")
        assert came_from(extract(merging)) == (0, N_IMAGES + N_VIEWS, 0)
        assert contents(merging / "data") == contents(cached)

    def test_a_side_that_cannot_be_read_is_reported_and_embedded_again(
        self, extract: Any, merging: Path, cached: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tracked = subprocess.check_output(["git", "show", "theirs:data/features.dvc"], cwd=merging, text=True)
        md5 = loads_yaml(tracked)["outs"][0]["md5"]
        (merging / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
        from_store, from_head, embedded = came_from(extract(merging))
        assert (from_store, from_head + embedded) == (0, N_IMAGES + N_VIEWS)
        assert min(from_head, embedded) > 0
        assert contents(merging / "data") == contents(cached)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("features of")]
        assert len(lines) == 1
        assert lines[0].startswith("features of MERGE_HEAD: none in DVC's cache or on a remote;")

    def test_a_side_is_not_asked_for_what_head_has(
        self, extract: Any, clone: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(clone, "git", "switch", "--quiet", "--create", "side")
        tracked = clone / "data/features.dvc"
        tracked.write_text(re.sub(r"\w{32}", "0" * 32, tracked.read_text()))
        run(clone, "git", "commit", "--quiet", "--all", "--message", "features that are nowhere")
        run(clone, "git", "switch", "--quiet", "-")
        run(clone, "git", "merge", "--quiet", "--strategy", "ours", "--message", "merge", "side")
        assert came_from(extract(clone)) == (0, N_IMAGES + N_VIEWS, 0)
        assert "features of" not in capsys.readouterr().out
