"""Read a folder, a zip or a tar file by file, straight from where it is: nothing is ever extracted.

A name that would lie outside the archive is refused, although nothing is written under it: such an
archive was made to harm, and the names go on into the manifest. An archive in an archive is not opened.
"""

import io
import math
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

from graft.data.folders import read_file, walk
from graft.data.members import (
    MAX_NAME_BYTES,
    NAMES_BYTES,
    ArchiveError,
    Member,
    Skip,
    bomb,
    max_content,
    readable,
    safe_link,
    safe_name,
)
from graft.data.tars import is_tar, tar_members

MAX_MEMBER_BYTES = 256 * 2**20
ZIP_HEADER = 30  # bytes, at least
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile reads the others without a bound


def _ignore(name: str, reason: str) -> None:
    pass


def read_members(
    path: Path, keep: Callable[[str], object] = lambda _: True, encoding: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder, a zip or a tar (plain, gz, bz2, xz).

    Args:
        path: the folder or the archive.
        keep: selects members by name. The names of the others are checked, their bytes are not read.
        encoding: of the names in an archive that does not say it; None: UTF-8, else, of a zip, cp437.

    Yields:
        Each file's relative name, with ``/``, and its bytes: of a folder in the order of the names, of an
        archive in its own order, the links of a tar after its files.

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        ArchiveError: if it is no such archive, is corrupt, encrypted or a bomb, has a name twice, an unsafe
            name, a link that leaves the archive, a device, or a wanted member larger than
            ``MAX_MEMBER_BYTES``.
        OSError: if a folder in it may not be listed, or a file not be read.
    """
    for name, read in iter_members(path, keep, encoding):
        yield name, read()


def list_members(
    path: Path, keep: Callable[[str], object] = lambda _: True, encoding: str | None = None
) -> list[str]:
    """List the names that `read_members` would yield, sorted; raises as it does, but reads no member."""
    return sorted(name for name, _ in iter_members(path, keep, encoding))


def list_names(path: Path, encoding: str | None = None, skip: Skip = _ignore) -> list[str]:
    """List the names of all files and, with a ``/`` at the end, of all folders; raises as `read_members`.

    Args:
        path, encoding: as there.
        skip: is called with the name and the reason of what is left out, such as a dead link, a pipe, or a
            folder that is read under another name.
    """
    with readable(path):
        return sorted({name for name, *_ in _members(path, encoding, skip)})


def iter_members(
    path: Path, keep: Callable[[str], object] = lambda _: True, encoding: str | None = None
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield names as `read_members` does, each with the function that reads its bytes: before the next one.

    Raises an `ArchiveError` as it does; for a member that is corrupt or too large, only when that is read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected a folder, a zip or a tar")
    seen, n_bytes, limit = set[str](), 0, math.inf if path.is_dir() else max_content(path)
    with readable(path):
        for name, size, read in _members(path, encoding, _ignore):
            if not name.endswith("/") and keep(name):
                _check_name(path, name, seen)
                seen.add(name)
                n_bytes += min(size, MAX_MEMBER_BYTES)  # more is never read
                if n_bytes > limit:
                    raise bomb(path, int(limit))
                yield name, partial(_read_within, path, name, size, readable(path, name)(read))


def _check_name(path: Path, name: str, seen: set[str]) -> None:
    if name in seen:
        raise ArchiveError(f"{path}: member {name!r} is there twice; make the archive again")
    if any(unicodedata.category(character) == "Cc" for character in name):  # would steer a terminal
        raise ArchiveError(f"{path}: the member name {name!r} has control characters; rename the file")


def _read_within(path: Path, name: str, size: int, read: Callable[[], bytes]) -> bytes:
    if size > MAX_MEMBER_BYTES:
        raise ArchiveError(
            f"{path}: member {name!r} is too large for an image: expected at most {MAX_MEMBER_BYTES} "
            f"bytes, received {size=}; remove it"
        )
    return read()


def is_archive(path: Path) -> bool:
    """Tell a zip or a tar (plain, gz, bz2, xz) by what is in the file."""
    return is_tar(path) or zipfile.is_zipfile(path)


def _members(path: Path, encoding: str | None, skip: Skip) -> Iterator[Member]:
    if path.is_dir():
        return _folder_members(path, skip)
    if path.is_file():  # not a pipe, which would block
        if is_tar(path):  # before zip: a tar may end with a zip
            return tar_members(path, encoding or "utf-8", skip)
        if zipfile.is_zipfile(path):
            return _zip_members(path, encoding, skip)
    raise ArchiveError(
        f"{path} is not readable as a folder, a zip or a tar (plain, gz, bz2, xz): "
        "it is something else, truncated or corrupt; make or copy it again"
    )


def _folder_members(folder: Path, skip: Skip) -> Iterator[Member]:
    found = []
    for each in walk(folder):
        if each.error:
            raise each.error
        if each.fault:
            skip(each.name, each.fault)
        else:
            found.append(each)
    for each in sorted(found):
        name = safe_name(folder, each.name)
        if each.name.endswith("/"):
            yield f"{name}/", 0, bytes
        else:
            yield name, each.size, partial(read_file, folder / name, MAX_MEMBER_BYTES)


class _ZipFile(io.FileIO):
    """A file for zipfile that refuses to read a directory of any size at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size and size > NAMES_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes")
        return super().read(size) or b""


def _zip_members(path: Path, encoding: str | None, skip: Skip) -> Iterator[Member]:
    with _ZipFile(path) as file, _open_zip(path, file, encoding) as archive:
        infos = archive.infolist()
        _check_places(infos, archive.start_dir)
        for info in infos:
            stored = _zip_name(info, encoding)
            name = safe_name(path, stored)
            if info.flag_bits & 1:
                raise ArchiveError(
                    f"{path}: member {name!r} is encrypted; make the archive without a password"
                )
            if info.compress_type not in ZIP_METHODS:
                raise ArchiveError(f"{path}: member {name!r} is not deflated; make the archive again")
            if stat.S_ISLNK(info.external_attr >> 16):  # where it leads to is a member of its own
                if info.file_size > MAX_NAME_BYTES:
                    raise ArchiveError(
                        f"{path}: unsafe member {name!r} is a link: expected at most {MAX_NAME_BYTES} bytes, "
                        f"received {info.file_size}; do not trust this archive"
                    )
                safe_link(path, name, _zip_bytes(archive, info).decode("utf-8", "replace"))
                skip(name, "a symbolic link")
            elif stored.endswith("/"):
                yield f"{name}/", 0, bytes
            else:
                yield name, info.file_size, partial(_zip_bytes, archive, info)


def _open_zip(path: Path, file: _ZipFile, encoding: str | None) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file, metadata_encoding=encoding)
    except UnicodeDecodeError as error:
        if not encoding:
            raise
        raise ArchiveError(
            f"{path} has a name that is not in folder.encoding={encoding} ({error.reason}); "
            "name another encoding"
        ) from None


def _check_places(infos: list[zipfile.ZipInfo], end: int) -> None:
    """Raise a BadZipFile where members are outside, or share bytes, as those of the smallest bombs do."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [*(info.header_offset for info in ordered), end]
    for info, (start, following) in zip(ordered, pairwise(starts), strict=True):
        if start < 0 or start + ZIP_HEADER + info.compress_size > following:
            raise zipfile.BadZipFile(f"member {info.filename!r} overlaps another, or is outside")


def _zip_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # of no size, it would inflate 2 GB at a time


def _zip_name(info: zipfile.ZipInfo, encoding: str | None) -> str:
    """Decode a member's name: macOS writes UTF-8 without saying so, some Windows tools write backslashes."""
    name = info.filename
    if encoding is None and not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")  # which may be the second byte of a character of Shift-JIS or GBK
