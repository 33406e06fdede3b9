"""The features of HEAD: what the last commit's author embedded, wherever that was.

DVC finds them in its local cache, else on the remote. Where branches are merged, the others' count too.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from dvc.api import DVCFileSystem

from graft.features.comparison import choose_rows, measure_differences
from graft.features.format import (
    HELP,
    ROW_GROUP_SIZE,
    UNREADABLE,
    Row,
    read_checked,
    read_metadata,
    read_rows,
)
from graft.features.revisions import open_revision
from graft.features.store import FeatureStore
from graft.utils.git import GitError, git

CHECKED = 16  # rows of each commit: about a batch


@dataclass(frozen=True)
class Witness:
    """The backbone at hand, which embeds some rows of each commit again.

    Attributes:
        embed: from (key, view) rows to their (n, ...) features.
        tolerance: the largest relative difference that another machine explains.
        seed: of the choice of rows, which who made the features must not know.
    """

    embed: Callable[[Sequence[Row]], np.ndarray]
    tolerance: float
    seed: int

    def check(self, received: FeatureStore) -> None:
        """Raise a ValueError if features are not what the backbone gives."""
        chosen = choose_rows(received.rows, CHECKED, self.seed)
        differences = measure_differences(received.get(chosen), self.embed(chosen))
        wrong = [pair for pair in zip(differences, chosen, strict=True) if pair[0] > self.tolerance]
        if wrong:
            largest, row = max(wrong)
            raise ValueError(
                f"{len(wrong)} of {len(chosen)} rows, embedded again, differ by up to {largest:.1e} of their "
                f"largest value, expected at most {self.tolerance:.1e}; the worst has key, view = {row}"
            )


def copy_from_head(
    repo: Path, folder: Path, rows: Iterable[Row], store: FeatureStore, witness: Witness
) -> None:
    """Copy rows from the features that HEAD tracks to the store, as far as they are there and right.

    In a merge, what is still missing then comes from the features of the branches merged. Of each commit,
    `CHECKED` rows are embedded again: where one differs, none of that commit is copied.

    What keeps them from being read (no commit yet, no network, a damaged object) or believed is reported in
    one line for each revision and costs no more than embedding the rows again. That those of HEAD are
    nowhere, as in a fresh clone, is not.

    Args:
        repo: root of the DVC repository, which is in a Git repository.
        folder: of the features, in it.
        rows: (key, view) that the store misses.
        store: only features with its fingerprint and shape are copied.
        witness: of what they should be.
    """
    rows = list(rows)
    for revision in ("HEAD", *_merged(repo)):
        wanted = set(store.missing(rows))
        try:
            if wanted:
                _copy_revision(repo, revision, folder, wanted, store, witness)
        except Exception as error:  # of Git, of DVC, of any kind of remote
            absent = isinstance(error.__cause__, FileNotFoundError)
            if not (absent and revision == "HEAD"):
                reason = "" if absent else f" ({' '.join(str(error).split())})"
                print(
                    f"features of {revision}: none in DVC's cache or on a remote{reason}; "
                    "embedding what the store lacks"
                )


def _merged(repo: Path) -> list[str]:
    """List the other side of a merge that is not committed yet, and HEAD's parents where it is a merge."""
    merged: list[str] = []
    with suppress(GitError):  # what is wrong with HEAD is reported there
        parents = git(repo, "rev-parse", "HEAD^@").split()
        merged = [f"HEAD^{i + 1}" for i in range(len(parents)) if len(parents) > 1]
        git(repo, "rev-parse", "--verify", "MERGE_HEAD")  # fails where there is none
        merged.insert(0, "MERGE_HEAD")
    return merged


def _copy_revision(
    repo: Path, revision: str, folder: Path, wanted: set[Row], store: FeatureStore, witness: Witness
) -> None:
    with open_revision(repo, revision) as files, store.receive() as received:
        for shard in sorted(files.find(f"/{folder.as_posix()}")):
            try:
                _copy_shard(files, shard, wanted, received)
            except ValueError as error:
                print(
                    f"features of {revision}: {shard[1:]} is not used, its images are embedded again: {error}"
                )
        if not received.rows:
            return
        commit = git(repo, "rev-parse", "--verify", f"{revision}^{{commit}}").strip()
        try:
            witness.check(received)
        except ValueError as error:
            print(
                f"features of {revision} ({commit[:12]}) are not used, their images are embedded again: "
                f"{error}. What to do: {HELP}"
            )
            return
        store.adopt(received, commit)


def _copy_shard(files: DVCFileSystem, shard: str, wanted: set[Row], store: FeatureStore) -> None:
    """Copy the wanted rows of a shard; raises a ValueError if it is not as it should be."""
    with suppress(*UNREADABLE), files.open(shard) as file:  # what is unreadable is explained below
        other = read_metadata(file)["fingerprint"] != store.fingerprint
        if other or wanted.isdisjoint(read_rows(file)):
            return
    data, expected = files.cat_file(shard), files.info(shard)["md5"]
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if md5 != expected:
        raise ValueError(
            f"damaged, expected md5 {expected}, received {md5}; to mend it, delete "
            f"{expected[:2]}/{expected[2:]} from the DVC cache, or from the remote and `dvc push` again"
        )
    rows, features = read_checked(BytesIO(data), store.shape, store.fingerprint)
    chosen = [(i, row) for i, row in enumerate(rows) if row in wanted]
    for start in range(0, len(chosen), ROW_GROUP_SIZE):
        positions, some = zip(*chosen[start : start + ROW_GROUP_SIZE], strict=True)
        store.put(some, features[list(positions)])
