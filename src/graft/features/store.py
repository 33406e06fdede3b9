"""The content-addressed store: one immutable file per finished batch, named by its own sha256.

An entry is a feature shard of a few rows. It is written to a temporary name, fsynced and renamed,
so a killed run loses at most the batches it was working on, and several processes may share a store.
"""

import errno
import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from graft.features.format import Row, read_checked, read_features, write_features
from graft.utils.files import digest


def fingerprint_id(fingerprint: dict[str, Any]) -> str:
    """Compute the sha256 of a fingerprint's canonical JSON: the name of its folder in the store.

    >>> fingerprint_id({"layer": "x", "precision": "float32"})[:12]
    '95939f6e3569'
    """
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


class FeatureStore:
    """The features of one fingerprint.

    Entries that were embedded here lie in the fingerprint's folder; those that a commit brought, in a folder
    of the commit's id in it. Where a row is in several, the one embedded here counts.
    """

    def __init__(self, root: Path, fingerprint: dict[str, Any], shape: Sequence[int]) -> None:
        """Open a store, or begin one, and verify every entry: its checksum, its shape, finite values.

        One that is not as it should be is reported, and its rows count as missing. It is left in
        place, where the same batch will replace it: another process may just have done so.

        Args:
            root: the folder of all fingerprints, such as ``.graft/features``.
            fingerprint: everything that determines a feature besides the image and the view.
            shape: of a feature, (h, w, c) or (c,).

        Raises:
            OSError: if the store cannot be written.
        """
        self.fingerprint, self.shape = fingerprint, tuple(shape)
        self._folder = root / fingerprint_id(fingerprint)
        self._where: dict[Row, tuple[Path, int]] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        with _new_file(self._folder) as file:
            file.write_text(json.dumps(fingerprint, sort_keys=True, indent=2) + "\n")
            file.replace(self._folder / "fingerprint.json")
        for entry in list_entries(self._folder):
            self._index(entry)

    @property
    def rows(self) -> list[Row]:
        """The (key, view) of every row, sorted."""
        return sorted(self._where)

    def missing(self, rows: Iterable[Row]) -> list[Row]:
        """List the (key, view) rows that are not in the store, in the order given."""
        return [row for row in rows if row not in self._where]

    def put(self, rows: Sequence[Row], features: np.ndarray) -> None:
        """Add a finished batch: the (len(rows), ...) float16 features of (key, view) rows.

        Raises:
            OSError: if the entry cannot be written; the store is then as it was.
        """
        with _new_file(self._folder) as file:
            write_features(file, rows, features, self.fingerprint)
            with file.open("rb") as written:
                os.fsync(written.fileno())
            entry = file.replace(self._folder / f"{digest(file)}.parquet")
        self._where.update({row: (entry, i) for i, row in enumerate(rows)})

    @contextmanager
    def receive(self) -> Iterator["FeatureStore"]:
        """Open an empty store for rows on approval, gone after the block unless `adopt` took them over."""
        folder = self._folder / f"{uuid4().hex}.tmp"
        try:
            yield FeatureStore(folder, self.fingerprint, self.shape)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def adopt(self, received: "FeatureStore", commit: str) -> None:
        """Take over the entries of a store that `receive` opened, as those that a commit brought."""
        folder = self._folder / commit
        folder.mkdir(exist_ok=True)
        for row, (entry, i) in received._where.items():
            self._where[row] = folder / entry.name, i
        for entry in list_entries(received._folder):
            entry.replace(folder / entry.name)

    def get(self, rows: Sequence[Row]) -> np.ndarray:
        """Read the (len(rows), ...) float16 features of rows that are in the store."""
        wanted = defaultdict(list)
        for i, row in enumerate(rows):
            entry, position = self._where[row]
            wanted[entry].append((i, position))
        parts = {entry: read_features(entry)[1][[p for _, p in pairs]] for entry, pairs in wanted.items()}
        order = np.argsort([i for pairs in wanted.values() for i, _ in pairs])
        return np.concatenate(list(parts.values()))[order]

    def _index(self, entry: Path) -> None:
        try:
            check_name(entry)
            rows, _ = read_checked(entry, self.shape, self.fingerprint)
        except ValueError as error:
            print(f"feature store: {entry.name} is damaged ({error}); its images are embedded again")
            return
        self._where.update({row: (entry, i) for i, row in enumerate(rows)})


def list_entries(folder: Path) -> list[Path]:
    """List the entries in the folder of a fingerprint, those that commits brought first."""
    return sorted(folder.glob("*/*.parquet")) + sorted(folder.glob("*.parquet"))


def check_name(entry: Path) -> None:
    """Raise a ValueError if the sha256 of an entry is not its name."""
    if digest(entry) != entry.stem:
        raise ValueError("its sha256 is not its name")


@contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """Explain a full disk or an exhausted quota, in an OSError with the same errno."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        advice = "free some space and run again; the rows embedded so far are kept in the store"
        raise OSError(error.errno, f"no space left for features in {folder}: {advice}") from error


@contextmanager
def _new_file(folder: Path) -> Iterator[Path]:
    file = folder / f"{uuid4().hex}.tmp"
    try:
        with room_for(folder):
            yield file
    finally:
        file.unlink(missing_ok=True)
