"""Images from anywhere: each is found once, in order, and what is not there is said."""

import os
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data import archives
from graft.serving.sources import count_images, find_images
from helpers.archives import MAKERS, each_archive, make_folder

FILES = {
    "b.jpg": b"1",
    "a/z.PNG": b"22",
    "a/c.webp": b"333",
    "notes.txt": b"no image",
    "a/.hidden/x.jpg": b"no",
}
IMAGES = {"b.jpg": b"1", "a/z.PNG": b"22", "a/c.webp": b"333"}


def read_all(names: Iterable[str], stdin: bytes = b"") -> list[tuple[str, bytes | str]]:
    """The paths and their bytes, or why they cannot be read."""

    def attempt(read: Callable[[], bytes]) -> bytes | str:
        try:
            return read()
        except (OSError, ValueError) as error:
            return str(error)

    return [(source.path, attempt(source.read)) for source in find_images(names, BytesIO(stdin))]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_folder_and_each_archive_of_it_hold_the_same_images(kind: str, tmp_path: Path) -> None:
    place = str(MAKERS[kind](tmp_path / kind, FILES))
    assert dict(read_all([place])) == {f"{place}/{name}": data for name, data in IMAGES.items()}


def test_globs_lists_and_plain_names_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path, FILES)
    (tmp_path / "photos [1]").mkdir()
    (tmp_path / "photos [1]" / "d.jpg").write_bytes(b"4")
    monkeypatch.chdir(tmp_path)
    assert [name for name, _ in read_all(["a/*.PNG", "b.jpg"])] == ["a/z.PNG", "b.jpg"]
    assert [name for name, _ in read_all(["**/*.webp"])] == ["a/c.webp"]
    assert [name for name, _ in read_all(["photos [1]"])] == ["photos [1]/d.jpg"]
    assert [name for name, _ in read_all(["-"], b"b.jpg\r\na\n\n-\n")] == ["b.jpg", "a/c.webp", "a/z.PNG"]
    assert [name for name, _ in read_all(["-"], b"b.jpg\0a/z.PNG\0")] == ["b.jpg", "a/z.PNG"]
    assert count_images(["a", "b.jpg"]) == 3
    assert count_images(["-"]) is None


def test_what_is_not_there_is_an_image_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jpg")
    Path("dead.jpg").symlink_to("nowhere")
    Path("a\0b.jpg".replace("\0", "")).write_bytes(b"1")
    assert read_all(["gone.jpg", "*.gif", "pipe.jpg", "dead.jpg", "a\0b.jpg"]) == [
        ("gone.jpg", "No such file or directory"),
        ("*.gif", "matches no file"),
        ("pipe.jpg", "not a regular file"),
        ("dead.jpg", "No such file or directory"),
        ("a\0b.jpg", "embedded null byte"),
    ]
    found = dict(read_all(["."]))
    assert found["pipe.jpg"] == "a named pipe"
    assert found["dead.jpg"] == "a link to nothing"
    assert found["ab.jpg"] == b"1"


def test_folders_that_are_linked_to_each_other_end(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a/1.jpg": b"1", "b/2.jpg": b"2"})
    (tmp_path / "a" / "to_b").symlink_to("../b")
    (tmp_path / "b" / "to_a").symlink_to("../a")
    (tmp_path / "a" / "up").symlink_to("..")
    found = [data for _, data in read_all([str(tmp_path)])]
    assert sorted(found, key=str) == [b"1", b"2"]


@each_archive
def test_a_damaged_archive_is_a_row_and_what_comes_next_is_read(kind: str, tmp_path: Path) -> None:
    data = {f"{i}.jpg": os.urandom(3000) for i in range(4)}
    archive = MAKERS[kind](tmp_path / kind, data)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "next.jpg").write_bytes(b"1")
    *_, damaged, (last, content) = read_all([str(archive), str(tmp_path / "next.jpg")])
    assert damaged[0] == str(archive)
    assert (
        isinstance(damaged[1], str) or damaged[1] == archive.read_bytes()
    )  # a zip without its end is no zip
    assert (last, content) == (str(tmp_path / "next.jpg"), b"1")


def test_a_member_that_is_too_large_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 10)
    archive = str(MAKERS["a.zip"](tmp_path / "a.zip", {"1.jpg": b"1" * 11, "2.jpg": b"2"}))
    (first, reason), second = read_all([archive])
    assert first == f"{archive}/1.jpg"
    assert "too large for an image: expected at most 10 bytes" in str(reason)
    assert second == (f"{archive}/2.jpg", b"2")


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), max_size=5
    )
)
def test_no_name_raises(names: list[str]) -> None:
    for name, content in read_all([f"/nowhere/{name}" for name in names]):
        assert isinstance(content, str), name
