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
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from graft.features.format import UNREADABLE, Row, read_checked, read_rows, write_features
from graft.features.index import INDEX, read_index, write_index
from graft.utils.files import digest

NOT_ITS_NAME = "its sha256 is not its name"


def fingerprint_id(fingerprint: dict[str, Any]) -> str:
    """Compute the sha256 of a fingerprint's canonical JSON: the name of its folder in the store.

    >>> fingerprint_id({"layer": "x", "precision": "float32"})[:12]
    '95939f6e3569'
    """
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


class DamagedError(ValueError):
    """Entries of the store were damaged, and are dropped: what they held is to be embedded again."""


class WrongIndexError(ValueError):
    """An entry is sound, but has other rows than its index says."""


class Sink(Protocol):
    """Something that takes finished batches."""

    def put(self, rows: Sequence[Row], features: np.ndarray) -> None:
        """Take the (len(rows), ...) float16 features of (key, view) rows."""


class StoreWriter:
    """The folder of a fingerprint, to add to: it does not know what is there."""

    def __init__(self, root: Path, fingerprint: dict[str, Any]) -> None:
        """Make the folder where there is none.

        Args:
            root: the folder of all fingerprints, such as ``.graft/features``.
            fingerprint: everything that determines a feature besides the image and the view.

        Raises:
            OSError: if the store cannot be written.
        """
        self.root, self.fingerprint = root, fingerprint
        self._folder = root / fingerprint_id(fingerprint)
        self._folder.mkdir(parents=True, exist_ok=True)
        with _new_file(self._folder) as file:
            file.write_text(json.dumps(fingerprint, sort_keys=True, indent=2) + "\n")
            file.replace(self._folder / "fingerprint.json")

    def put(self, rows: Sequence[Row], features: np.ndarray) -> None:
        """Add a finished batch: the (len(rows), ...) float16 features of (key, view) rows.

        Raises:
            OSError: if the entry cannot be written; the store is then as it was.
        """
        self._write(rows, features)

    def _write(self, rows: Sequence[Row], features: np.ndarray) -> Path:
        with _new_file(self._folder) as file:
            write_features(file, rows, features, self.fingerprint)
            with file.open("rb") as written:
                os.fsync(written.fileno())
            return file.replace(self._folder / f"{digest(file)}.parquet")


class FeatureStore(StoreWriter):
    """The features of one fingerprint.

    Entries that were embedded here lie in the fingerprint's folder; those that a commit brought, in a folder
    of the commit's id in it. Where a row is in several, the one embedded here counts.
    """

    def __init__(self, root: Path, fingerprint: dict[str, Any], shape: Sequence[int]) -> None:
        """Open a store, or begin one; the features of an entry are verified when they are first read.

        Args:
            root, fingerprint: as of a `StoreWriter`.
            shape: of a feature, (h, w, c) or (c,).

        Raises:
            OSError: if the store cannot be written.
        """
        super().__init__(root, fingerprint)
        self.shape = tuple(shape)
        self._entries: dict[Path, Sequence[Row]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take up what other processes have added, and write the index where it lacks something."""
        indexed = read_index(self._folder)
        known, self._entries = indexed | self._entries, {}
        for entry in list_entries(self._folder):
            if rows := known.get(entry) or _read_rows(entry):
                self._entries[entry] = rows
        self._where = {row: entry for entry, rows in self._entries.items() for row in rows}
        if self._entries.keys() != indexed.keys():
            with suppress(OSError), _new_file(self._folder) as file:  # without it, entries are read next time
                write_index(file, self._entries)
                file.replace(self._folder / INDEX)

    @property
    def rows(self) -> list[Row]:
        """The (key, view) of every row, sorted."""
        return sorted(self._where)

    def missing(self, rows: Iterable[Row]) -> list[Row]:
        """List the (key, view) rows that are not in the store, in the order given."""
        return [row for row in rows if row not in self._where]

    def put(self, rows: Sequence[Row], features: np.ndarray) -> None:
        """Add a finished batch, as a `StoreWriter` does."""
        self._know(self._write(rows, features), rows)

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
        for entry, rows in received._entries.items():
            self._know(entry.replace(folder / entry.name), rows)

    def get(self, rows: Sequence[Row]) -> np.ndarray:
        """Read the (len(rows), ...) float16 features of rows that are in the store, and verify their entries.

        Raises:
            DamagedError: if an entry's checksum, its shape or a value is not as it should be. All of these
                are reported and dropped, so that the rows that they held are missing.
        """
        wanted = defaultdict(list)
        for i, row in enumerate(rows):
            wanted[self._where[row]].append(i)
        features, damaged = np.empty((len(rows), *self.shape), np.float16), []
        for entry, places in wanted.items():
            try:
                features[places] = self._read(entry, [rows[i] for i in places])
            except (ValueError, FileNotFoundError) as error:
                damaged.append(entry)
                if not isinstance(error, WrongIndexError):
                    _drop(entry, error)
        if damaged:
            self._forget(damaged)
            raise DamagedError(f"{len(damaged):,} entries were damaged")
        return features

    def _know(self, entry: Path, rows: Sequence[Row]) -> None:
        self._entries[entry] = rows
        self._where.update(dict.fromkeys(rows, entry))

    def _read(self, entry: Path, rows: Sequence[Row]) -> np.ndarray:
        data = entry.read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.stem:
            raise ValueError(NOT_ITS_NAME)
        found, features = read_checked(BytesIO(data), self.shape, self.fingerprint)
        places = {row: i for i, row in enumerate(found)}
        if not places.keys() >= {*rows}:
            raise WrongIndexError("its rows are not those of the index")
        return features[[places[row] for row in rows]]

    def _forget(self, entries: Sequence[Path]) -> None:
        (self._folder / INDEX).unlink(missing_ok=True)  # it may have been made of what was damaged already
        for entry in entries:
            for row in self._entries.pop(entry):
                if self._where.get(row) == entry:
                    del self._where[row]


def _read_rows(entry: Path) -> Sequence[Row]:
    """Read the rows of an entry; none where it is damaged, or another process has just dropped it."""
    with suppress(FileNotFoundError), entry.open("rb") as file:
        try:
            return read_rows(file)
        except UNREADABLE as error:
            if isinstance(error, MemoryError) or getattr(error, "errno", None):  # the machine's fault
                raise
            _drop(entry, error)
    return ()


def _drop(entry: Path, error: Exception) -> None:
    print(f"feature store: {entry.name} is damaged ({error}); its images are embedded again")
    entry.unlink(missing_ok=True)


def list_entries(folder: Path) -> list[Path]:
    """List the entries in the folder of a fingerprint, those that commits brought first."""
    # Not in the temporary folders of others (.tmp), which may go meanwhile.
    return sorted(folder.glob("*[!p]/*.parquet")) + sorted(folder.glob("*.parquet"))


def check_name(entry: Path) -> None:
    """Raise a ValueError if the sha256 of an entry is not its name."""
    if digest(entry) != entry.stem:
        raise ValueError(NOT_ITS_NAME)


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
