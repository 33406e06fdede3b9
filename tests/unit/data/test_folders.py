"""A folder is walked to its end, whatever is in it, and each folder once."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data.archives import list_names, read_members
from graft.data.folders import read_file, walk
from helpers.archives import make_folder

FOLDERS = ["a", "a/x", "b", "b/y", "c", "c/z", ""]
LINK = st.tuples(st.sampled_from(FOLDERS), st.sampled_from("kls"), st.sampled_from(FOLDERS))


def make(folder: Path, links: Sequence[tuple[str, str, str]], order: Sequence[str]) -> Path:
    """Make an image in each folder, in an order, and links between them."""
    for place in order:
        make_folder(folder, {f"{place}/1.jpg".lstrip("/"): place.encode()})
    for place, name, target in links:
        (folder / place / name).symlink_to(folder / target)
    return folder


@given(
    links=st.lists(LINK, unique_by=lambda link: link[:2], max_size=12),
    order=st.permutations(FOLDERS),
    top=st.sampled_from(FOLDERS),
)
def test_each_folder_is_read_once_whatever_the_links_and_the_order(
    tmp_path_factory: pytest.TempPathFactory,
    links: list[tuple[str, str, str]],
    order: list[str],
    top: str,
) -> None:
    ours = make(tmp_path_factory.mktemp("a"), links, order) / top
    found = dict(read_members(ours))
    assert len(set(found.values())) == len(found)
    inside = [name for name in FOLDERS if f"{name}/".startswith(f"{top}/" if top else "")]
    for name in inside:  # its own name wins
        assert found[os.path.relpath(Path("/", name, "1.jpg"), Path("/", top))] == name.encode()
    theirs = make(tmp_path_factory.mktemp("b"), links[::-1], sorted(order)) / top
    assert dict(read_members(theirs)) == found


def test_what_is_no_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path, {"a/1.jpg": b"1", "b/2.jpg": b"2"})
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "a" / "dead.jpg").symlink_to("nobody@host.1234")
    (tmp_path / "a" / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "a" / "null.jpg").symlink_to("/dev/null")
    (tmp_path / "b" / "a").symlink_to("../a")
    (tmp_path / "b" / "up").symlink_to(tmp_path.parent)
    skipped = dict[str, str]()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        server.bind("socket.jpg")
        names = list_names(tmp_path, skip=skipped.__setitem__)
    assert names == ["a/", "a/1.jpg", "b/", "b/2.jpg"]
    assert skipped == {
        "a/dead.jpg": "a link to nothing",
        "a/null.jpg": "a device",
        "a/pipe.jpg": "a named pipe",
        "a/self.jpg": "a link to nothing",
        "b/a": "a folder that is read under another name",
        "b/up": "a link to a folder above it",
        "socket.jpg": "a socket",
    }
    assert dict(read_members(tmp_path)) == {"a/1.jpg": b"1", "b/2.jpg": b"2"}


def test_a_folder_deeper_than_python_recurses(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(1100):
        folder /= "d"
        folder.mkdir()
    assert sum(not found.fault for found in walk(tmp_path)) == 1100
    while folder != tmp_path:  # pytest would recurse
        folder.rmdir()
        folder = folder.parent


def test_a_folder_that_vanishes_is_an_error_that_names_it(tmp_path: Path) -> None:
    (found,) = walk(tmp_path / "gone")
    assert isinstance(found.error, FileNotFoundError)
    assert found.error.filename == str(tmp_path / "gone")


def test_read_file_waits_for_nothing_and_reads_no_more_than_allowed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(ValueError, match="too large: expected at most 4 bytes, received 5"):
        read_file(tmp_path / "file", 4)
    for other in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="not a regular file"):
            read_file(other, 5)
