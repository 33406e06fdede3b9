"""Key-sharded Parquet: the shard of a key, and tables that become the same bytes each time.

Images and features share the prefixes, so image shard ``3`` and feature shard ``3`` hold the same
keys. The number of shards is a pure function of the number of images; adding one image changes
one shard (or, where the number of shards doubles, all of them, once).
"""

from collections.abc import Iterable
from math import log2
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from graft.utils.errors import naming

ROWS_PER_SHARD = 512
OPTIONS = {"compression": "zstd", "compression_level": 3, "use_dictionary": False}


def count_shards(n_rows: int) -> int:
    """Choose the power of two that comes closest to ``ROWS_PER_SHARD`` rows a shard; at least 1.

    >>> [count_shards(n) for n in (0, 400, 4000, 70_000)]
    [1, 1, 8, 128]
    """
    return 1 << max(0, round(log2(max(n_rows, 1) / ROWS_PER_SHARD)))


def shard_name(key: str, n_shards: int) -> str:
    """Name the shard of a key: its first log2(n_shards) bits, in hexadecimal; n_shards is a power of two.

    >>> shard_name("f" + 63 * "0", 8)
    '7'
    """
    bits = n_shards.bit_length() - 1
    return f"{int(key[:16], 16) >> (64 - bits):0{max(1, -(-bits // 4))}x}"


def write_table(table: pa.Table, path: Path, row_group_size: int) -> None:
    """Write a Parquet file whose bytes depend on nothing but the table (zstd 3, no dictionary)."""
    with naming(path):
        pq.write_table(table, path, row_group_size, **OPTIONS)


def write_groups(groups: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Write such a file from its row groups, of which memory holds one."""
    with naming(path), pq.ParquetWriter(path, schema, **OPTIONS) as writer:
        for group in groups:
            writer.write_table(group)
