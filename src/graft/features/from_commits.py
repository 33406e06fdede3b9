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
from dvc.repo import Repo
from dvc.scm import resolve_rev

from graft.features.format import ROW_GROUP_SIZE, Row, read_features, read_metadata, read_rows
from graft.features.store import FeatureStore, plain_fingerprint

FEATURES = "data/features"


def copy_from_head(repo: Path, rows: Iterable[Row], store: FeatureStore) -> None:
    """Copy rows from the features that HEAD tracks to the store, as far as they are there.

    In a merge, what is still missing then comes from the features of the branches merged.

    What keeps them from being read (no commit yet, no remote, no network, a damaged object) is
    reported in one line a revision and costs no more than embedding the rows again.

    Args:
        repo: root of the Git and DVC repository.
        rows: (key, view) that the store misses.
        store: of those features only those with the store's fingerprint are copied; another
            augmentation still leaves the plain ones.
    """
    rows = list(rows)
    for revision in ("HEAD", *_merged(repo)):
        wanted = set(store.missing(rows))
        try:
            if wanted:
                _copy_revision(repo, revision, wanted, store)
        except Exception as error:  # of Git, of DVC, of any kind of remote
            reason = " ".join(str(error).split())
            print(
                f"features of {revision}: none in DVC's cache or on a remote ({reason}); "
                "embedding what the store lacks"
            )


def _merged(repo: Path) -> list[str]:
    """The other side of a merge that is not committed yet, and the parents of HEAD where it is a merge."""
    merged: list[str] = []
    with suppress(Exception), Repo(str(repo)) as opened:  # what is wrong with HEAD is reported there
        parents = opened.scm.resolve_commit("HEAD").parents
        merged = [f"HEAD^{i + 1}" for i in range(len(parents)) if len(parents) > 1]
        resolve_rev(opened.scm, "MERGE_HEAD")  # raises where there is none
        merged.insert(0, "MERGE_HEAD")
    return merged


def _copy_revision(repo: Path, revision: str, wanted: set[Row], store: FeatureStore) -> None:
    files = DVCFileSystem(str(repo), rev=revision)
    for shard in sorted(files.find(FEATURES)):
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
        fingerprint = read_metadata(file)["fingerprint"]
        plain = plain_fingerprint(fingerprint) == plain_fingerprint(store.fingerprint)
        usable = {False: plain, True: fingerprint == store.fingerprint}
        found = enumerate(read_rows(file) if plain else ())
        chosen = [(i, row) for i, row in found if row in wanted and usable[row[1] > 0]]
    if not chosen:
        return
    data = files.cat_file(shard)
    md5, expected = hashlib.md5(data, usedforsecurity=False).hexdigest(), files.info(shard)["md5"]
    if md5 != expected:
        raise pa.ArrowInvalid(f"expected md5 {expected}, received {md5}")
    features = read_features(BytesIO(data))[1]
    for augmented in (False, True):
        part = [(i, row) for i, row in chosen if (row[1] > 0) == augmented]
        for start in range(0, len(part), ROW_GROUP_SIZE):
            positions, rows = zip(*part[start : start + ROW_GROUP_SIZE], strict=True)
            store.put(rows, features[list(positions)])
