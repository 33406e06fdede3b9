"""Threads and any number of processes give the same; no process is left over, or waited for in vain."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from itertools import repeat
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.data.decoding import decode_keys
from graft.data.images import ImageError, load
from graft.data.ingest import prepare
from graft.data.raw import RawImage
from graft.data.sharding import write_table
from graft.data.workers import Threads, open_workers
from helpers import work
from helpers.limits import prepare_params

NUMBERS = 0, 1, 2, 3


def size_of(_: object) -> int:
    return 1


@pytest.fixture(scope="module", params=NUMBERS)
def workers(request: pytest.FixtureRequest) -> Iterator[Threads]:
    """Threads, then one process to three, with room for five bytes."""
    with open_workers(request.param, 5) as workers:
        yield workers


@settings(max_examples=20)
@given(st.lists(st.integers(0, 255), max_size=30))
def test_results_come_in_order_and_their_rooms_stay_until_the_next(
    workers: Threads, numbers: list[int]
) -> None:
    found = [(item, room.tolist(), result) for item, room, result in workers.map(work.fill, numbers, size_of)]
    assert found == [(number, [number] * 5, number) for number in numbers]


def test_an_error_is_raised_in_its_turn(workers: Threads) -> None:
    results = workers.map(work.refuse, range(9), size_of)
    assert [next(results)[0], next(results)[0]] == [0, 1]
    with pytest.raises(ImageError, match=r"^2 is too much$"):
        next(results)
    assert next(workers.map(work.fill, [7], size_of))[2] == 7


def test_who_takes_more_than_all_is_alone(workers: Threads, tmp_path: Path) -> None:
    """Among the processes as among the threads."""
    pids = {pid for _, _, pid in workers.map(work.take_all, repeat(tmp_path / "log", 60), size_of)}
    assert (tmp_path / "log").read_text() == "ab" * 60
    assert len(pids) == 1 or os.getpid() not in pids


def test_a_process_imports_little() -> None:
    with open_workers(1) as workers:
        ((_, _, modules),) = workers.map(work.list_modules, [0], size_of)
    assert not {"tensorflow", "keras", "pandas", "sklearn", "dvc"} & modules
    assert "PIL" in modules


def test_memory_is_a_file_where_the_system_has_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "memfd_create")
    with open_workers(1, 5) as workers:
        assert [room.tolist() for _, room, _ in workers.map(work.fill, [3], size_of)] == [[3] * 5]


def test_a_killed_process_ends_the_others_and_the_wait() -> None:
    before = set(psutil.Process().children())
    with open_workers(3) as workers, pytest.raises(ChildProcessError, match=r"killed, .* run this again"):
        list(workers.map(work.end, range(99), size_of))
    assert set(psutil.Process().children()) == before


PARENT = """
import sys
from psutil import Process
from graft.data.workers import open_workers
from helpers import work
with open_workers(2) as workers:
    list(workers.map(work.fill, range(9), lambda _: 1))
    print(*(child.pid for child in Process().children()), flush=True)
    if sys.argv[1] == "wait":
        sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["wait", "exit"])
def test_processes_end_with_their_parent(end: str) -> None:
    command = [sys.executable, "-c", PARENT, end]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, env=environment) as parent:
        children = []
        for pid in parent.stdout.readline().split():  # type: ignore[union-attr]
            try:
                children.append(psutil.Process(int(pid)))
            except psutil.NoSuchProcess:
                assert end == "exit"
        if end == "wait":
            assert len(children) == 2
            os.kill(parent.pid, signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=60)[1] == []


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Key -> image, sorted by key."""
    images = [noise(i, 20 + i % 7, 30 - i % 5) for i in range(40)]
    return dict(sorted((sha256(image).hexdigest(), image) for image in images))


def noise(seed: int, height: int, width: int) -> bytes:
    """A PNG file of random pixels."""
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(params=NUMBERS)
def n_processes(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def test_each_key_has_its_pixels(files: dict[str, bytes], n_processes: int, tmp_path: Path) -> None:
    write_shards(files, 5, tmp_path)
    found = [(key, pixels.copy()) for key, pixels in decode_keys(tmp_path, files, 9, n_processes=n_processes)]
    assert [key for key, _ in found] == list(files)
    for key, pixels in found:
        assert (pixels == load(files[key], 9)).all()


@given(data=st.data(), rows=st.integers(1, 40), size=st.sampled_from([1, 9, 1200]))
@settings(max_examples=10)
def test_any_keys_of_any_row_groups(
    files: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    rows: int,
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("images")
    write_shards(files, rows, folder)
    keys = data.draw(st.sets(st.sampled_from(list(files)), max_size=5 if size == 1200 else 40))
    found = decode_keys(folder, keys, size)
    for expected, (key, pixels) in zip(sorted(keys), found, strict=True):
        assert key == expected
        assert (pixels == load(files[key], size)).all()


def write_shards(files: dict[str, bytes], row_group: int, folder: Path) -> None:
    """As `prepare` does, but for the length of the row groups."""
    for name, some in (("0", list(files)[:23]), ("1", list(files)[23:])):
        table = pa.table({"key": some, "image": pa.array([files[key] for key in some], pa.binary())})
        write_table(table, folder / f"{name}.parquet", row_group)


def test_prepare_writes_the_same_by_threads_and_by_processes(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine with three cores, where many images are two."""
    raw = [RawImage(f"{i}.png", "ab"[i % 2], None, data) for i, data in enumerate(files.values())]
    raw += [RawImage(f"{i}.png", "a", None, b"no image") for i in range(40, 60)]
    limits = prepare_params(max_rejected=1.0)
    by_threads = prepare(raw, limits, tmp_path / "threads")
    monkeypatch.setattr("graft.data.ingest.PLENTY", 16)
    monkeypatch.setattr("graft.data.ingest.count_processes", lambda _: 2)
    assert prepare(raw, limits, tmp_path / "processes") == by_threads
    written, expected = ((tmp_path / name / "0.parquet").read_bytes() for name in ("processes", "threads"))
    assert written == expected
    assert pq.read_metadata(tmp_path / "threads" / "0.parquet").num_rows == 40
