"""The features of HEAD: what the last commit's author embedded, wherever that was.

DVC finds them in its local cache, else on the remote.
"""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from dvc.api import DVCFileSystem

from graft.features.shards import ROW_GROUP_SIZE, Row, read_features, read_metadata, read_rows
from graft.features.store import FeatureStore, plain_fingerprint

FEATURES = "data/features"


def copy_from_head(repo: Path, rows: Iterable[Row], store: FeatureStore) -> None:
    """Copy rows from the features that HEAD tracks to the store, as far as they are there.

    What keeps them from being read (no commit yet, no remote, no network, a damaged object) is
    reported in one line and costs no more than embedding the rows again.

    Args:
        repo: root of the Git and DVC repository.
        rows: (key, view) that the store misses.
        store: of HEAD's features only those with the store's fingerprint are copied; another
            augmentation still leaves the plain ones.
    """
    wanted = set(rows)
    try:
        head = DVCFileSystem(str(repo), rev="HEAD")
        for shard in sorted(head.find(FEATURES)):
            try:
                _copy_shard(head, shard, wanted, store)
            except pa.ArrowInvalid as error:
                md5 = head.info(shard)["md5"]
                print(
                    f"features of HEAD: {shard} is damaged ({error}); its images are embedded again. "
                    f"To mend it, delete {md5[:2]}/{md5[2:]} from the DVC cache, "
                    "or from the remote and `dvc push` again"
                )
    except Exception as error:  # of Git, of DVC, of any kind of remote
        reason = " ".join(str(error).split())
        print(
            f"features of HEAD: none in DVC's cache or on a remote ({reason}); embedding what the store lacks"
        )


def _copy_shard(head: DVCFileSystem, shard: str, wanted: set[Row], store: FeatureStore) -> None:
    with head.open(shard) as file:
        fingerprint = read_metadata(file)["fingerprint"]
        plain = plain_fingerprint(fingerprint) == plain_fingerprint(store.fingerprint)
        usable = {False: plain, True: fingerprint == store.fingerprint}
        found = enumerate(read_rows(file) if plain else ())
        chosen = [(i, row) for i, row in found if row in wanted and usable[row[1] > 0]]
    if not chosen:
        return
    data = head.cat_file(shard)
    md5, expected = hashlib.md5(data, usedforsecurity=False).hexdigest(), head.info(shard)["md5"]
    if md5 != expected:
        raise pa.ArrowInvalid(f"expected md5 {expected}, received {md5}")
    features = read_features(BytesIO(data))[1]
    for augmented in (False, True):
        part = [(i, row) for i, row in chosen if (row[1] > 0) == augmented]
        for start in range(0, len(part), ROW_GROUP_SIZE):
            positions, rows = zip(*part[start : start + ROW_GROUP_SIZE], strict=True)
            store.put(rows, features[list(positions)])
