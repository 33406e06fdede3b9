"""The content-addressed store: one immutable file per finished batch, named by its own sha256.

An entry is a feature shard of a few rows. It is written to a temporary name, fsynced and renamed,
so a killed run loses at most the batch it was working on, and several processes may share a store.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from graft.features.shards import Row, read_features, read_rows, write_features

OPEN_ENTRIES = 64


def fingerprint_id(fingerprint: dict[str, Any]) -> str:
    """sha256 of a fingerprint's canonical JSON: the name of its folder in the store."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


class FeatureStore:
    """The features of one fingerprint."""

    def __init__(self, root: Path, fingerprint: dict[str, Any]) -> None:
        """Open a store, or begin one, and verify every entry's checksum.

        An entry whose bytes do not match its name is reported and removed: its rows count as missing.

        Args:
            root: the folder of all fingerprints, such as ``.graft/features``.
            fingerprint: everything that determines a feature besides the image and the view.
        """
        self.fingerprint = fingerprint
        self.folder = root / fingerprint_id(fingerprint)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "fingerprint.json").write_text(
            json.dumps(fingerprint, sort_keys=True, indent=2) + "\n"
        )
        self._where: dict[Row, tuple[Path, int]] = {}
        for entry in sorted(self.folder.glob("*.parquet")):
            self._index(entry)
        self._open = lru_cache(maxsize=OPEN_ENTRIES)(read_features)

    def __contains__(self, row: Row) -> bool:
        return row in self._where

    def put(self, rows: Sequence[Row], features: np.ndarray) -> None:
        """Add a finished batch: its (key, view) rows and (n, ...) float16 features."""
        descriptor, name = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
        os.close(descriptor)
        temporary = Path(name)
        try:
            write_features(temporary, rows, features, self.fingerprint)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            entry = self.folder / f"{_sha256(temporary)}.parquet"
            temporary.replace(entry)
        finally:
            temporary.unlink(missing_ok=True)
        self._where.update({row: (entry, i) for i, row in enumerate(rows)})

    def get(self, rows: Sequence[Row]) -> np.ndarray:
        """The (n, ...) float16 features of rows that are in the store."""
        found = [self._where[row] for row in rows]
        return np.stack([self._open(entry)[1][i] for entry, i in found])

    def _index(self, entry: Path) -> None:
        if _sha256(entry) != entry.stem:
            print(f"feature store: {entry.name} is damaged (checksum differs); its images are embedded again")
            entry.unlink()
            return
        self._where.update({row: (entry, i) for i, row in enumerate(read_rows(entry))})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
