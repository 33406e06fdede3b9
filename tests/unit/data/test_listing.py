"""A source is listed and read where it is: what was listed is read, or the difference is an error."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data.datasets import cats_and_dogs, folder
from graft.data.listing import LISTING, Listed, list_file, read_listing, write_listing
from helpers.archives import MAKERS, each_kind, make_folder, make_zip

IMAGES = {"cat/1.jpg": b"1", "cat/sub/2.png": b"22", "dog, or 'wolf'/3 é.jpg": b"333"}
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(files=st.lists(st.builds(Listed, PATHS, st.text("0123456789abcdef", max_size=64), st.integers(0))))
def test_a_listing_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, files: list[Listed]
) -> None:
    raw = tmp_path_factory.mktemp("raw")
    write_listing(files, raw)
    assert read_listing(raw) == files


@each_kind
def test_nothing_of_a_source_is_copied(tmp_path: Path, kind: str) -> None:
    source = MAKERS[kind](tmp_path / kind, IMAGES)
    folder.fetch(tmp_path / "raw", source, tmp_path / "cache")
    read = {image.path: image.data for image in folder.read(tmp_path / "raw")}
    assert read == IMAGES
    paths = [source / name for name in sorted(IMAGES)] if kind == "folder" else [source]
    assert read_listing(tmp_path / "raw") == [list_file(path) for path in paths]
    assert {path.name for path in (tmp_path / "raw").iterdir()} == {LISTING, folder.SURVEY}


def change(file: Path) -> None:
    file.write_bytes(bytes(255 - byte for byte in file.read_bytes()))


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def extend(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"1")


def replace_by_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def remove_its_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


def put_a_file_for_its_folder(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.write_bytes(b"")


CHANGES = [change, truncate, extend, Path.unlink, replace_by_a_pipe, remove_its_folder]
CHANGES += [put_a_file_for_its_folder]


@pytest.mark.parametrize("spoil", CHANGES)
@pytest.mark.parametrize("kind", ["folder", "a.zip"])
def test_a_file_that_is_not_as_listed_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], kind: str
) -> None:
    (tmp_path / "photos").mkdir()
    source = MAKERS[kind](tmp_path / "photos" / kind, IMAGES)
    folder.fetch(tmp_path / "raw", source, tmp_path / "cache")
    file = source / "cat/1.jpg" if kind == "folder" else source
    spoil(file)
    with pytest.raises(ValueError, match=rf"^{file}: expected the file that `download` listed, of \d+ bytes"):
        list(folder.read(tmp_path / "raw"))


def test_kaggles_archive_is_read_where_it_is(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "train.zip", {"train/cat.0.jpg": b"1", "train/dog.0.jpg": b"2"})
    cats_and_dogs.fetch(tmp_path / "raw", source, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [LISTING]
    assert sorted(image.data for image in cats_and_dogs.read(tmp_path / "raw")) == [b"1", b"2"]
    source.unlink()
    with pytest.raises(ValueError, match=r"train\.zip: expected the file .*, received no file; graft keeps"):
        list(cats_and_dogs.read(tmp_path / "raw"))


def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    source = make_folder(tmp_path / "photos", IMAGES | {"cat/a\nb.jpg": b"4"})
    with pytest.raises(ValueError, match="has control characters; rename the file"):
        folder.fetch(tmp_path / "raw", source, tmp_path / "cache")
    assert not (tmp_path / "raw").exists()
