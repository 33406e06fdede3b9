"""graft.features.index, and a store whose entries share rows."""

from pathlib import Path

import numpy as np
import pytest

from graft.features.index import INDEX, read_index, write_index
from graft.features.store import DamagedError, FeatureStore


def test_an_index_with_a_wrong_bit_is_as_good_as_none_or_still_right(tmp_path: Path) -> None:
    entries = {tmp_path / "a.parquet": [("0a", 0), ("0b", 1)], tmp_path / "c/b.parquet": [("0c", 2)]}
    write_index(tmp_path / INDEX, entries)
    content = (tmp_path / INDEX).read_bytes()
    assert read_index(tmp_path) == entries
    for i in range(0, len(content), 3):
        (tmp_path / INDEX).write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        assert read_index(tmp_path) in ({}, entries)


def test_damaged_entries_that_share_a_row_are_forgotten_together(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, {"precision": "float32"}, (2,))
    rows = [(f"{i:064x}", 0) for i in range(4)]
    for start in range(3):
        store.put(rows[start : start + 2], np.full((2, 2), start, np.float16))
    for entry in tmp_path.glob("*/*.parquet"):
        entry.write_bytes(entry.read_bytes()[:-1])
    with pytest.raises(DamagedError):
        store.get(rows)
    assert store.missing(rows) == rows
