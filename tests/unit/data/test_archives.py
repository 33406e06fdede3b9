"""archives: the same files come out of a folder, a zip and a tar, and nothing unsafe or broken does."""

import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data import archives
from graft.data.archives import list_members, list_names, read_members
from helpers.archives import MAKERS, each_archive, each_kind, make_folder, make_tar, make_zip

FILES = {"cat/1.jpg": b"one", "Hündin/b c.png": b"two" * 999, "dog/x/3.gif": b""}


@each_kind
def test_every_kind_yields_the_same_files(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / kind, FILES)
    assert dict(read_members(path)) == FILES
    assert list_members(path) == sorted(FILES)


@each_kind
def test_only_what_is_kept_is_read(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 100)
    path = MAKERS[kind](tmp_path / kind, FILES)
    assert [name for name, _ in read_members(path, lambda name: name.startswith("cat"))] == ["cat/1.jpg"]
    with pytest.raises(
        ValueError, match=r"'Hündin/b c.png' is too large .* at most 100 bytes, received size=2997"
    ):
        list(read_members(path))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_hides_no_size(tmp_path: Path, kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 100)
    path = make_tar(tmp_path / "a.tar", {"large.bin": bytes(999)})
    link = tarfile.TarInfo("cat.jpg")
    link.type, link.linkname = kind, "large.bin"
    with tarfile.open(path, "a") as archive:
        archive.addfile(link)
    with pytest.raises(ValueError, match=r"'cat.jpg' is too large for an image"):
        list(read_members(path, lambda name: name == "cat.jpg"))


def test_a_folder_is_read_in_the_order_of_its_names_through_links(tmp_path: Path) -> None:
    outside = make_folder(tmp_path / "outside", {"1.jpg": b"linked"})
    folder = make_folder(tmp_path / "folder", {"b/2.jpg": b"b"})
    (folder / "a").symlink_to(outside)
    (folder / "b" / "loop").symlink_to(folder)
    assert list(read_members(folder)) == [("a/1.jpg", b"linked"), ("b/2.jpg", b"b")]


@each_archive
@pytest.mark.parametrize("name", ["../evil.jpg", "cat/../../evil.jpg", "/etc/evil.jpg", "C:/evil.jpg"])
def test_unsafe_names_are_refused_even_when_not_wanted(tmp_path: Path, kind: str, name: str) -> None:
    path = MAKERS[kind](tmp_path / kind, {"cat/1.jpg": b"", name: b"evil"})
    for read in (lambda: list_members(path, lambda _: False), lambda: list(read_members(path))):
        with pytest.raises(ValueError, match=rf"{kind}: unsafe member name '{name}'"):
            read()
    assert [p.name for p in tmp_path.iterdir()] == [kind]


def test_backslashes_of_a_zip_are_separators(tmp_path: Path) -> None:
    assert list_members(make_zip(tmp_path / "a.zip", {"cat\\1.jpg": b""})) == ["cat/1.jpg"]
    with pytest.raises(ValueError, match="unsafe member name"):
        list_members(make_zip(tmp_path / "b.zip", {"..\\1.jpg": b""}))


def test_utf8_names_that_do_not_say_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"Hündin/1.jpg": b"x"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
        content[content.index(mark) + offset] &= ~0x08  # the flag of UTF-8, as macOS leaves it out
    path.write_bytes(content)
    assert list(read_members(path)) == [("Hündin/1.jpg", b"x")]


def tar_with(path: Path, kind: bytes, name: str, target: str = "") -> Path:
    make_tar(path, {"cat/1.jpg": b"one"})
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return path


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "../../etc/passwd"),
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../x.jpg"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_that_leave_a_tar_and_devices_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    with pytest.raises(ValueError, match="unsafe member"):
        list_members(tar_with(tmp_path / "a.tar", kind, "cat/2.jpg", target))


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "../cat/1.jpg"), (tarfile.LNKTYPE, "cat/1.jpg")]
)
def test_links_inside_a_tar_are_followed(tmp_path: Path, kind: bytes, target: str) -> None:
    path = tar_with(tmp_path / "a.tar", kind, "dog/2.jpg", target)
    assert dict(read_members(path)) == {"cat/1.jpg": b"one", "dog/2.jpg": b"one"}


def test_links_to_nothing_and_to_each_other_are_left_out(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "a.tar", tarfile.SYMTYPE, "dog/2.jpg", "3.jpg")
    with tarfile.open(path, "a") as archive:
        for name, target in (("dog/4.jpg", "5.jpg"), ("dog/5.jpg", "4.jpg"), ("dog/6.jpg", "../cat")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    skipped = dict[str, str]()
    assert list_names(path, skip=skipped.__setitem__) == ["cat/1.jpg"]
    assert skipped == {f"dog/{n}.jpg": "a link to no file of the archive" for n in (2, 4, 5, 6)}


@pytest.mark.parametrize(("target", "safe"), [("1.jpg", True), ("../../1.jpg", False)])
def test_links_of_a_zip(tmp_path: Path, target: str, safe: bool) -> None:
    path = make_zip(tmp_path / "a.zip", {"cat/1.jpg": b"one"})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("cat/2.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
    if safe:
        assert list_members(path) == ["cat/1.jpg"]
    else:
        with pytest.raises(ValueError, match=r"unsafe member 'cat/2.jpg' is a link to '../../1.jpg'"):
            list_members(path)


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"./cat/1.jpg": b"old", "cat/1.jpg": b"new"})
    with pytest.raises(ValueError, match=r"member 'cat/1.jpg' is there twice"):
        list_members(path)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "H\udcfcndin").mkdir()  # latin-1 bytes, as Python reads them
    (tmp_path / "H\udcfcndin" / "1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="is not UTF-8; rename the file"):
        list_members(tmp_path)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"cat/1.jpg": b"one"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.zip: member 'cat/1.jpg' is encrypted"):
        list_members(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4 no archive"])
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"a.zip is not readable as a folder, a zip or a tar"):
        list_members(tmp_path / "a.zip")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing does not exist: expected a folder, a zip or a tar"):
        list_members(tmp_path / "nothing")


NOISE = {f"cat/{i}.jpg": bytes((i * j * j + j // 7) % 251 for j in range(3000)) for i in range(5)}


@pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "folder"])
@given(share=st.floats(0, 0.999))
def test_a_truncated_archive_never_passes(
    tmp_path_factory: pytest.TempPathFactory, kind: str, share: float
) -> None:
    path = MAKERS[kind](tmp_path_factory.getbasetemp() / f"truncated-{kind}", NOISE)
    content = path.read_bytes()
    if kind == "a.tar":  # what follows the first end mark is padding
        content = content[: content.rindex(b"\xfa") // 512 * 512 + 1024]
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"corrupt or truncated|is not readable|no end mark"):
        assert dict(read_members(path)) != NOISE


@pytest.mark.parametrize("kind", ["a.zip", "a.tgz", "a.tar.xz"])
def test_other_bytes_inside_an_archive_never_pass(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / kind, NOISE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{kind}.* is corrupt or truncated"):
        list(read_members(path))


def test_a_damaged_header_inside_a_tar(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", NOISE)
    content = bytearray(path.read_bytes())
    content[content.index(b"cat/2.jpg")] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.tar is corrupt or truncated \(no end mark"):
        list_members(path)
