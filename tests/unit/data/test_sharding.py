"""Shards: a pure function of the keys."""

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data.sharding import ROWS_PER_SHARD, count_shards, shard_name, write_table

keys = st.binary(max_size=8).map(lambda data: sha256(data).hexdigest())
powers = st.integers(0, 20).map(lambda bits: 2**bits)


@given(n_rows=st.integers(0, 10**9))
def test_the_number_of_shards_is_a_power_of_two_near_512_rows_each(n_rows: int) -> None:
    n_shards = count_shards(n_rows)
    assert n_shards & (n_shards - 1) == 0
    assert n_rows / n_shards <= ROWS_PER_SHARD * 2**0.5
    assert n_shards == 1 or n_rows / n_shards >= ROWS_PER_SHARD / 2**0.5


@pytest.mark.parametrize(("n_rows", "expected"), [(0, 1), (1, 1), (724, 1), (725, 2), (2746, 4), (25000, 64)])
def test_the_number_of_shards(n_rows: int, expected: int) -> None:
    assert count_shards(n_rows) == expected


@given(key=keys, n_shards=powers)
def test_a_shard_holds_the_keys_whose_first_bits_are_its_name(key: str, n_shards: int) -> None:
    bits = n_shards.bit_length() - 1
    assert int(shard_name(key, n_shards), 16) == int(key, 16) // 2 ** (256 - bits)


@given(key=keys, n_shards=powers.filter(lambda n: n.bit_length() % 4 == 1 and n > 1))
def test_where_the_bits_are_whole_digits_the_name_is_a_prefix(key: str, n_shards: int) -> None:
    assert key.startswith(shard_name(key, n_shards))


@given(some=st.lists(keys), n_shards=powers)
def test_names_sort_as_their_keys_do(some: list[str], n_shards: int) -> None:
    names = [shard_name(key, n_shards) for key in sorted(some)]
    assert names == sorted(names)


def test_one_shard_is_named_0() -> None:
    assert shard_name("f" * 64, 1) == "0"


def test_a_table_is_the_same_bytes_however_it_was_put_together(tmp_path: Path) -> None:
    rows = list(range(1000))
    whole = pa.table({"n": rows})
    parts = pa.concat_tables([whole.slice(0, 7), whole.slice(7)])
    for name, table in (("whole", whole), ("parts", parts)):
        write_table(table, tmp_path / name, 64)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()
    file = pq.ParquetFile(tmp_path / "whole")
    assert file.metadata.row_group(0).num_rows == 64
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.read().equals(whole)
