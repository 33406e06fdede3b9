"""Extractions that are killed, run out of disk or share a store: nothing is corrupt, nothing else is lost."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from graft.config.features import BackboneRow
from graft.features.filling import WRITERS
from graft.features.format import read_rows
from graft.features.store import fingerprint_id
from graft.methods.params import Params
from helpers.extraction import CONTEXT, FILES, Job, Moment, Run, extract
from helpers.tiers import long_but_for

KILLS = int(os.environ.get("GRAFT_KILLS", "20"))  # more by hand: GRAFT_KILLS=200
AT_WORK = WRITERS + 1  # batches
PAIRS = KILLS // 5  # of extractions at once
SHORT = {"kills": {6, 10, 14}, "pairs": {1, 2}}  # one of each kind; the others are a long story
FULL = r"no space left .* in .*: free some space and run again; .* kept"
MOUNT = """
mount -t tmpfs -o size=400k graft "$0" && echo mounted
while read size; do mount -o remount,size=$size "$0" && echo $size; done
"""


@pytest.fixture(scope="module")
def job(params: Params, row: BackboneRow, images: Path, manifest: pd.DataFrame) -> Job:
    """Four views of 20 images: 10 batches of 8."""
    return Job(images, manifest, row, params.augmentation, 4, Path(), Path())


@pytest.fixture(scope="module")
def uninterrupted(job: Job, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What a run does that nothing disturbs: its `files`, its `seconds` of CPU time, what it `passed`."""
    plain, traced = (job.to(tmp_path_factory.mktemp("uninterrupted")) for _ in range(2))
    seconds = Run(plain).end().last["cpu_seconds"]
    passed = Run(traced, Moment()).end().last["passed"]
    assert contents(plain.output) == contents(traced.output)
    return SimpleNamespace(files=contents(plain.output), seconds=seconds, passed=passed)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def rows_of(store: Path, *, damaged: Collection[Path] = ()) -> int:
    """How many rows are in a store, each entry of which must be whole; but for those known as damaged."""
    files = [file for file in store.glob("*/*") if file.suffix != ".tmp" and file not in damaged]
    entries = [file for file in files if file.suffix == ".parquet"]
    assert {file.name for file in files} - {file.name for file in entries} <= {"fingerprint.json", "index"}
    for file in store.glob("*/*.json"):
        assert fingerprint_id(json.loads(file.read_text())) == file.parent.name
    for file in entries:
        assert file.name == f"{sha256(file.read_bytes()).hexdigest()}.parquet"
    return sum(len(read_rows(file)) for file in entries)


def moment(number: int, whole: SimpleNamespace) -> Moment:
    """One of `KILLS` moments spread over a run: when it changes a file, at a line, or by CPU time."""
    rng = random.Random(number)
    place = (number + rng.random()) / KILLS
    if number % 3 == 0:
        return Moment(FILES, 1 + int(place * whole.passed[FILES]))
    if number % 3 == 1:
        lines = [line for line in whole.passed if line[0].startswith("features")]
        line = lines[int(place * len(lines))]
        return Moment(line, rng.randint(1, whole.passed[line]))
    return Moment(seconds=place * whole.seconds)


def numbered(n: int, short: Collection[int]) -> Any:
    """Parametrize with 0..n-1, of which only `short` belong to the short tests."""
    return pytest.mark.parametrize("number", long_but_for(short, range(n)))


@numbered(KILLS, SHORT["kills"])
def test_a_kill_loses_at_most_the_batches_that_are_being_written_and_the_next(
    job: Job, backbone: Any, uninterrupted: SimpleNamespace, tmp_path: Path, number: int
) -> None:
    killed = job.to(tmp_path)
    report = Run(killed, moment(number, uninterrupted)).end()
    assert report.exitcode in ([-signal.SIGPROF, 0] if number % 3 == 2 else [-signal.SIGKILL])
    kept = rows_of(killed.store)
    assert kept >= report.embedded - AT_WORK * job.row.batch_size
    assert not killed.output.exists() or contents(killed.output) == uninterrupted.files
    assert extract(killed, backbone)["embedded"] == 80 - kept
    assert contents(killed.output) == uninterrupted.files
    assert rows_of(killed.store) == 80


class Disk:
    """A file system of its own, in a mount namespace that ends with the process that holds it."""

    def __init__(self, holder: subprocess.Popen[str], mounted: Path) -> None:
        self.folder = Path(f"/proc/{holder.pid}/root{mounted}")
        self._stdin, self._stdout = holder.stdin, holder.stdout

    def grow(self) -> None:
        """Make room for everything."""
        self._stdin.write("8m\n")
        self._stdin.flush()
        assert self._stdout.readline() == "8m\n"

    def fill(self) -> None:
        """Fill it to the last byte."""
        with (self.folder / "filler").open("wb", 0) as file, pytest.raises(OSError, match="No space"):
            file.writelines(repeat(bytes(4096)))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty disk of 400 kB, on which some batches find room."""
    if shutil.which("unshare") is None:
        pytest.skip("a file system of its own needs Linux with util-linux's unshare")
    mounted = tmp_path / "disk"
    mounted.mkdir()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(mounted)]
    with subprocess.Popen(command, text=True, **pipes) as holder:
        if holder.stdout.readline() != "mounted\n":
            holder.stdin.close()
            pytest.skip(f"this user may not mount a file system of its own: {holder.stderr.read()}")
        yield Disk(holder, mounted)


class TestFullDisk:
    @pytest.mark.parametrize("full", ["store", "output"])
    def test_what_is_embedded_is_kept_and_the_next_run_continues(
        self, job: Job, uninterrupted: SimpleNamespace, tmp_path: Path, disk: Disk, full: str
    ) -> None:
        place = {full: disk.folder / full}
        stopped = job.to(tmp_path, **place)
        report = Run(stopped).end()
        assert report.last["errno"] == errno.ENOSPC
        assert re.search(FULL, report.last["error"])
        assert str(disk.folder) in report.last["error"]
        kept = rows_of(stopped.store)
        assert 0 < report.embedded - AT_WORK * job.row.batch_size <= kept
        assert (kept == 80) == (full == "output")
        assert not stopped.output.exists()
        assert not list(tmp_path.rglob("*.tmp")) + list(disk.folder.rglob("*.tmp"))
        disk.grow()
        again = Run(stopped).end()
        assert again.last["counts"]["embedded"] == 80 - kept
        assert contents(stopped.output) == uninterrupted.files

    def test_a_disk_that_is_full_from_the_start(
        self, job: Job, uninterrupted: SimpleNamespace, tmp_path: Path, disk: Disk
    ) -> None:
        stopped = job.to(tmp_path, store=disk.folder / "store")
        disk.fill()
        report = Run(stopped).end()
        assert re.search(FULL, report.last["error"])
        assert rows_of(stopped.store) == 0
        disk.grow()
        assert Run(stopped).end().last["counts"]["embedded"] == 80
        assert contents(stopped.output) == uninterrupted.files


@numbered(PAIRS, SHORT["pairs"])
def test_two_at_once(job: Job, backbone: Any, tmp_path: Path, number: int) -> None:
    """Two extractions of one manifest, or of overlapping ones, start together on a store, maybe damaged."""
    rows = job.manifest.sample(frac=1, random_state=number)
    manifests = [rows, rows] if number % 2 else [rows[:30], rows[10:]]
    alone = [job.to(tmp_path / f"alone{i}", manifest=each) for i, each in enumerate(manifests)]
    jobs = [replace(each, store=tmp_path / "store", output=tmp_path / str(i)) for i, each in enumerate(alone)]
    for each in alone:
        extract(each, backbone)
    if number // 2 % 2:
        extract(job.to(tmp_path), backbone)
    damaged = damage(tmp_path / "store", number)
    together = CONTEXT.Barrier(2)
    runs = [Run(each, together=together) for each in jobs]
    assert [run.end().exitcode for run in runs] == [0, 0]
    for each, expected in zip(jobs, alone, strict=True):
        assert contents(each.output) == contents(expected.output)
    assert rows_of(tmp_path / "store", damaged=damaged) >= 80 - 8 * len(damaged)
    assert not list(tmp_path.rglob("*.tmp"))
    assert extract(job.to(tmp_path), backbone)["embedded"] == 0


@pytest.mark.parametrize("cached", [False, True])
def test_two_at_once_into_one_output(
    job: Job, backbone: Any, uninterrupted: SimpleNamespace, tmp_path: Path, cached: bool
) -> None:
    if cached:
        extract(job.to(tmp_path), backbone)
    together = CONTEXT.Barrier(2)
    runs = [Run(job.to(tmp_path), together=together) for _ in range(2)]
    assert [run.end().last["counts"]["embedded"] == 0 for run in runs] == [cached, cached]
    assert contents(tmp_path / "features") == uninterrupted.files
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name] == []


def damage(store: Path, seed: int) -> list[Path]:
    """Cut some entries short, where there are any."""
    entries = sorted(store.glob("*/*.parquet"))
    chosen = random.Random(seed).sample(entries, len(entries) // 2)
    for entry in chosen:
        entry.write_bytes(entry.read_bytes()[:-9])
    return chosen
