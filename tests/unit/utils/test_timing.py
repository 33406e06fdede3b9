"""Durations belong to the outputs that were timed, and are shown with no others."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.utils.timing import read_timings, write_timing

VALUES = {"seconds": 1.5, "embedded": 3}
CONTENTS = st.binary(max_size=30) | st.binary(max_size=8).map(lambda data: data + b"PAR1")


@pytest.fixture
def root(tmp_path):
    """A file, and a folder of two Parquet shards, that `make` has written."""
    (tmp_path / "model").write_bytes(b"weights")
    (tmp_path / "shards/a").mkdir(parents=True)
    for i, name in enumerate(("0.parquet", "a/1.parquet")):
        pd.DataFrame({"x": range(i, 1000)}).to_parquet(tmp_path / "shards" / name)
    write_timing(tmp_path, "make", VALUES, [Path("model"), Path("shards")])
    return tmp_path


def test_durations_of_what_is_there_are_read(root):
    assert read_timings(root) == {"make": VALUES}
    shutil.copytree(root / "shards", root / "copy")
    shutil.rmtree(root / "shards")
    (root / "copy").rename(root / "shards")
    assert read_timings(root) == {"make": VALUES}


def change_a_file(root):
    (root / "model").write_bytes(b"Weights")


def change_values(root):
    pd.DataFrame({"x": range(5, 1005)}).to_parquet(root / "shards/0.parquet")


def rename_a_shard(root):
    (root / "shards/0.parquet").rename(root / "shards/2.parquet")


def add_a_shard(root):
    shutil.copy(root / "shards/0.parquet", root / "shards/a/0.parquet")


def remove_a_file(root):
    (root / "model").unlink()


def remove_a_folder(root):
    shutil.rmtree(root / "shards")


@pytest.mark.parametrize(
    "change", [change_a_file, change_values, rename_a_shard, add_a_shard, remove_a_file, remove_a_folder]
)
def test_durations_of_other_outputs_are_not(root, change):
    change(root)
    assert read_timings(root) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(CONTENTS, CONTENTS)
def test_any_two_small_files_in_a_folder_are_told_apart(tmp_path, one, other):
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out/file").write_bytes(one)
    write_timing(tmp_path, "make", VALUES, [Path("out")])
    (tmp_path / "out/file").write_bytes(other)
    assert bool(read_timings(tmp_path)) == (one == other)


def test_without_any_there_are_none(tmp_path):
    assert read_timings(tmp_path) == {}


def test_a_file_that_is_not_json_is_named(root):
    (root / "metrics/timing/make.json").write_text("{")
    with pytest.raises(ValueError, match=r"make\.json is not JSON .*: delete it"):
        read_timings(root)
