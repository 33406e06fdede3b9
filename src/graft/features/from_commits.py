"""The features of HEAD: what the last commit's author embedded, wherever that was.

DVC finds them in its local cache, else on the remote. Where branches are merged, the others' count too.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from dvc.api import DVCFileSystem

from graft.features.format import ROW_GROUP_SIZE, Row, read_features, read_metadata, read_rows
from graft.features.store import FeatureStore
from graft.utils.git import GitError, git


def copy_from_head(repo: Path, folder: Path, rows: Iterable[Row], store: FeatureStore) -> None:
    """Copy rows from the features that HEAD tracks to the store, as far as they are there.

    In a merge, what is still missing then comes from the features of the branches merged.

    What keeps them from being read (no commit yet, no network, a damaged object) is reported in one line for
    each revision and costs no more than embedding the rows again. That those of HEAD are nowhere, as in a
    fresh clone, is not.

    Args:
        repo: root of the DVC repository, which is in a Git repository.
        folder: of the features, in it.
        rows: (key, view) that the store misses.
        store: only features with its fingerprint are copied.
    """
    rows = list(rows)
    for revision in ("HEAD", *_merged(repo)):
        wanted = set(store.missing(rows))
        try:
            if wanted:
                _copy_revision(repo, revision, folder, wanted, store)
        except Exception as error:  # of Git, of DVC, of any kind of remote
            absent = isinstance(error.__cause__, FileNotFoundError)
            if not (absent and revision == "HEAD"):
                reason = "" if absent else f" ({' '.join(str(error).split())})"
                print(
                    f"features of {revision}: none in DVC's cache or on a remote{reason}; "
                    "embedding what the store lacks"
                )


def open_revision(repo: Path, revision: str | None) -> tuple[DVCFileSystem, str]:
    """Open the files that Git and DVC track, of a commit or of the work tree (None).

    Returns:
        The files, and what their paths begin with: DVC roots those of a commit at the top of the Git
        repository, of which `repo` may be a sub-directory, and those of the work tree at `repo`.

    Raises:
        GitError: if there is no Git repository, and a revision is asked for.
    """
    if revision is None:
        return DVCFileSystem(str(repo)), ""
    prefix = git(repo, "rev-parse", "--show-prefix").strip()
    return DVCFileSystem(str(repo), rev=revision, subrepos=True), prefix


def _merged(repo: Path) -> list[str]:
    """List the other side of a merge that is not committed yet, and HEAD's parents where it is a merge."""
    merged: list[str] = []
    with suppress(GitError):  # what is wrong with HEAD is reported there
        parents = git(repo, "rev-parse", "HEAD^@").split()
        merged = [f"HEAD^{i + 1}" for i in range(len(parents)) if len(parents) > 1]
        git(repo, "rev-parse", "--verify", "MERGE_HEAD")  # fails where there is none
        merged.insert(0, "MERGE_HEAD")
    return merged


def _copy_revision(repo: Path, revision: str, folder: Path, wanted: set[Row], store: FeatureStore) -> None:
    files, prefix = open_revision(repo, revision)
    for shard in sorted(files.find(prefix + folder.as_posix())):
        try:
            _copy_shard(files, shard, wanted, store)
        except pa.ArrowInvalid as error:
            md5 = files.info(shard)["md5"]
            print(
                f"features of {revision}: {shard} is damaged ({error}); its images are embedded again. "
                f"To mend it, delete {md5[:2]}/{md5[2:]} from the DVC cache, "
                "or from the remote and `dvc push` again"
            )


def _copy_shard(files: DVCFileSystem, shard: str, wanted: set[Row], store: FeatureStore) -> None:
    with files.open(shard) as file:
        if read_metadata(file)["fingerprint"] != store.fingerprint:
            return
        chosen = [(i, row) for i, row in enumerate(read_rows(file)) if row in wanted]
    if not chosen:
        return
    data = files.cat_file(shard)
    md5, expected = hashlib.md5(data, usedforsecurity=False).hexdigest(), files.info(shard)["md5"]
    if md5 != expected:
        raise pa.ArrowInvalid(f"expected md5 {expected}, received {md5}")
    features = read_features(BytesIO(data))[1]
    for start in range(0, len(chosen), ROW_GROUP_SIZE):
        positions, rows = zip(*chosen[start : start + ROW_GROUP_SIZE], strict=True)
        store.put(rows, features[list(positions)])
