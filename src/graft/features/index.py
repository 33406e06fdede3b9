"""The index of a store's entries: which rows each has, in one file, so that opening the store reads no other.

It is derived. An entry never changes, so that what the index says of one that is there holds for good. What
it lacks is read from the entries, and a damaged index is as good as none.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from graft.features.format import UNREADABLE, Row

INDEX = "index"  # without the ending of an entry
SCHEMA = pa.schema({"entry": pa.string(), "keys": pa.list_(pa.string()), "views": pa.list_(pa.int16())})


def read_index(folder: Path) -> dict[Path, list[Row]]:
    """Read the rows of each entry in the folder of a fingerprint, as far as its index has them."""
    try:
        with (folder / INDEX).open("rb") as file:
            table = pq.read_table(file, schema=SCHEMA, page_checksum_verification=True)
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        return {folder / name: [*zip(keys, views, strict=True)] for name, keys, views in rows}
    except UNREADABLE:
        return {}


def write_index(path: Path, entries: Mapping[Path, Sequence[Row]]) -> None:
    """Write the rows of each entry, which lies in the folder of `path` or below."""
    names = [entry.relative_to(path.parent).as_posix() for entry in entries]
    keys, views = ([[row[i] for row in rows] for rows in entries.values()] for i in (0, 1))
    pq.write_table(pa.table([names, keys, views], SCHEMA), path, write_page_checksum=True)
