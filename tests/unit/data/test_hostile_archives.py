"""Archives made to harm: reading them ends, takes little memory, and gives nothing from outside."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.data import archives, members
from graft.data.archives import list_members, list_names, read_members
from graft.data.members import ArchiveError
from helpers.archives import MAKERS, each_archive, make_tar, make_zip
from helpers.bombs import BOMBS, header, write_bombs

MEMORY = 900 * 2**20  # of address space; Python and what it imports take less than half of it
READ = f"""
import resource, sys
from pathlib import Path
from graft.data.archives import read_members
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
for path in sys.argv[1:]:
    try:
        for name, data in read_members(Path(path)):
            assert len(data) < 1000
    except ValueError as error:
        print(error)
"""


def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READ, *map(str, write_bombs(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0].split(" is ")[0] for line in done.stdout.splitlines()] == [
        str(tmp_path / name) for name in BOMBS
    ]


@each_archive
def test_all_that_comes_out_is_bounded_by_the_size_of_the_archive(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "ALWAYS_BYTES", 10_000)
    monkeypatch.setattr(members, "MAX_RATIO", 2)
    path = MAKERS[kind](tmp_path / kind, {f"{i}.jpg": bytes(2000) for i in range(9)})
    if kind == "a.tar":  # which is as large as its content
        assert len(list_members(path)) == 9
    else:
        with pytest.raises(ArchiveError, match=rf"{kind} is too large for its size on disk.* unpack it"):
            list_members(path)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_million_names_are_too_many(tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (archives, sys.modules["graft.data.tars"]):
        monkeypatch.setattr(module, "NAMES_BYTES", 3000)
    assert callable(make)
    path = make(tmp_path / "a", {f"{i}.jpg": b"" for i in range(20)})
    assert len(list_members(path)) == 20
    path = make(tmp_path / "b", {f"{i}.jpg": b"" for i in range(99)})
    with pytest.raises(ArchiveError, match=r"too many members|a directory of"):
        list_members(path)


@each_archive
@pytest.mark.parametrize("name", ["a/\n1.jpg", "a/\x1b[2J.jpg", "a/\x9b.jpg"])
def test_a_name_that_steers_a_terminal_is_refused_where_it_is_wanted(
    tmp_path: Path, kind: str, name: str
) -> None:
    path = MAKERS[kind](tmp_path / kind, {name: b"", "b/2.jpg": b""})
    assert list_members(path, lambda name: name.startswith("b")) == ["b/2.jpg"]
    with pytest.raises(ArchiveError, match=r"the member name 'a/(\\n|\\x).* has control characters"):
        list_members(path)


@each_archive
def test_a_name_that_is_longer_than_a_path_is_refused(tmp_path: Path, kind: str) -> None:
    longest = "ü" * 2046 + ".jpg"
    assert list_members(MAKERS[kind](tmp_path / kind, {longest: b""})) == [longest]
    path = MAKERS[kind](tmp_path / f"2{kind}", {f"a{longest}": b""})
    with pytest.raises(ArchiveError, match=r"is too long: expected at most 4096 bytes, received 4097"):
        list_members(path)


def test_archives_in_archives_are_not_opened(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"a.jpg": b"1"}).read_bytes()
    assert list_members(make_zip(tmp_path / "outer.zip", {"inner.zip": inner})) == ["inner.zip"]


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArchiveError, match="pipe is not readable as a folder, a zip or a tar"):
        list_members(tmp_path / "pipe")


NAMES = ["1.jpg", "2.jpg", "a/1.jpg", "a/2.jpg", "a/b/1.jpg", "c/1.jpg"]
TARGETS = [*NAMES, "../1.jpg", "../../1.jpg", "../a/2.jpg", "b/1.jpg", "b", "..", "nothing", "/etc/passwd"]


@st.composite
def tars(draw: st.DrawFn) -> list[tuple[str, str | None]]:
    """Names in the order of a tar, each with what it is a symbolic link to; None: a file."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return [(name, draw(st.none() | st.sampled_from(TARGETS))) for name in names]


def write_tar(path: Path, entries: list[tuple[str, str | None]], mode: str) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, target in entries:
            info = tarfile.TarInfo(name)
            if target is None:
                info.size = len(name)
                archive.addfile(info, io.BytesIO(name.encode()))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, target
                archive.addfile(info)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=tars(), mode=st.sampled_from(["w", "w:gz", "w:xz"]))
def test_links_in_a_tar_give_what_they_give_when_it_is_unpacked(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str | None]], mode: str
) -> None:
    folder = tmp_path_factory.mktemp("links")
    path = write_tar(folder / "a.tar", entries, mode)
    place = folder / "a" / "b" / "c"  # links may lead out of it, and find nothing there
    for name, target in entries:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if target is None:
            (place / name).write_text(name)
        else:
            (place / name).symlink_to(target)
    inside = {name: (place / name).parent / (target or "") for name, target in entries}
    if any(not os.path.normpath(target).startswith(f"{place}") for target in inside.values()):
        with pytest.raises(ArchiveError, match=r"unsafe member .* is a link to .*, outside"):
            list_members(path)
        return
    expected = {name: (place / name).read_bytes() for name, _ in entries if is_file(place / name)}
    skipped = dict[str, str]()
    assert dict(read_members(path)) == expected
    assert [name for name in list_names(path, skip=skipped.__setitem__) if name[-1] != "/"] == sorted(
        expected
    )
    assert skipped.keys() == dict(entries).keys() - expected.keys()


def is_file(path: Path) -> bool:
    """Tell that a path leads to a file; a loop does not."""
    try:
        return path.is_file()
    except OSError:
        return False


def test_links_to_one_file_count_as_so_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "ALWAYS_BYTES", 100_000)
    path = make_tar(tmp_path / "a.tar", {"0.jpg": bytes(2000)})
    with tarfile.open(path, "a") as archive:
        for i in range(1, 60):
            info = tarfile.TarInfo(f"{i}.jpg")
            info.type, info.linkname = tarfile.LNKTYPE, "0.jpg"
            archive.addfile(info)
    monkeypatch.setattr(members, "MAX_RATIO", 10)
    assert len(list_members(path)) == 60
    monkeypatch.setattr(members, "MAX_RATIO", 1)
    with pytest.raises(ArchiveError, match="too large for its size on disk"):
        list_members(path)


BYTES = st.tuples(st.integers(0, 2**20), st.binary(min_size=1, max_size=12))


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind not in ("folder", "a.tar.bz2")])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(BYTES, min_size=1, max_size=3))
def test_other_bytes_anywhere_give_a_sentence_or_a_member(
    tmp_path: Path, kind: str, changes: list[tuple[int, bytes]]
) -> None:
    path = MAKERS[kind](tmp_path / kind, {"a/1.jpg": b"one" * 99, "b/2.jpg": b"two" * 99})
    data = bytearray(path.read_bytes())
    for place, other in changes:
        place %= len(data)
        data[place : place + len(other)] = other
    if kind == "a.tar":  # else every change of a header is noticed
        for start in range(0, len(data) - 511, 512):
            block = data[start : start + 512]
            total = 256 + sum(block[:148]) + sum(block[156:])
            data[start + 148 : start + 156] = b"%06o\0 " % total if any(block) else block[148:156]
    path.write_bytes(data)
    try:
        assert all(isinstance(content, bytes) for _, content in read_members(path))
    except ArchiveError as error:
        said = str(error)
    else:
        said = str(path)
    assert str(path) in said


def test_a_map_of_holes_without_an_end(tmp_path: Path) -> None:
    """tarfile raises an IndexError."""
    block = bytearray(header("1.jpg", 512, tarfile.GNUTYPE_SPARSE))
    block[482] = 1  # it goes on in the next block
    block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:]))
    (tmp_path / "a.tar").write_bytes(block)
    with pytest.raises(ArchiveError, match=r"a.tar is corrupt or truncated|a.tar is not readable"):
        list_members(tmp_path / "a.tar")
