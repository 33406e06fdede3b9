"""Read a folder, a zip or a tar file by file, straight from where it is: nothing is ever extracted.

A name that would lie outside the archive is refused, although nothing is written under it: such an
archive was made to harm, and the names go on into the manifest.
"""

import os
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath

MAX_MEMBER_BYTES = 256 * 2**20
# Raised for damage; by `zipfile` a NotImplementedError, for a way to compress that it does not know.
DAMAGE: tuple[type[Exception], ...] = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError)
DAMAGE += (EOFError, KeyError, NotImplementedError, OSError)

# Name, with a `/` at the end of a folder's; size in bytes, and a function that reads it.
Member = tuple[str, int, Callable[[], bytes]]


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
        archive in its own order.

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        ValueError: if it is no such archive, is corrupt or encrypted, has a name twice, an unsafe name, a
            link that leaves the archive, a device, or a wanted member larger than ``MAX_MEMBER_BYTES``.
    """
    for name, read in iter_members(path, keep, encoding):
        yield name, read()


def list_members(
    path: Path, keep: Callable[[str], object] = lambda _: True, encoding: str | None = None
) -> list[str]:
    """List the names that `read_members` would yield, sorted; raises as it does, but reads no member."""
    return sorted(name for name, _ in iter_members(path, keep, encoding))


def list_names(path: Path, encoding: str | None = None) -> list[str]:
    """List the names of all files and, with a ``/`` at the end, of all folders; raises as `read_members`."""
    with readable(path):
        return sorted({name for name, *_ in _members(path, encoding)})


def iter_members(
    path: Path, keep: Callable[[str], object] = lambda _: True, encoding: str | None = None
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield names as `read_members` does, each with the function that reads its bytes: before the next one.

    Raises a ValueError as it does; for a member that is corrupt or too large, only when that is read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected a folder, a zip or a tar")
    seen = set()
    with readable(path):
        for name, size, read in _members(path, encoding):
            if not name.endswith("/") and keep(name):
                if name in seen:
                    raise ValueError(f"{path}: member {name!r} is there twice; make the archive again")
                seen.add(name)
                yield name, partial(_read_within, path, name, size, readable(path, name)(read))


def _read_within(path: Path, name: str, size: int, read: Callable[[], bytes]) -> bytes:
    data = read() if size <= MAX_MEMBER_BYTES else b""
    size = max(size, len(data))  # a link's own is 0
    if size > MAX_MEMBER_BYTES:
        raise ValueError(
            f"{path}: member {name!r} is too large for an image: expected at most {MAX_MEMBER_BYTES} "
            f"bytes, received {size=}; remove it"
        )
    return data


def _members(path: Path, encoding: str | None) -> Iterator[Member]:
    if path.is_dir():
        return _folder_members(path)
    if tarfile.is_tarfile(path):  # before zip: a tar may end with a zip
        return _tar_members(path, encoding or "utf-8")
    if zipfile.is_zipfile(path):
        return _zip_members(path, encoding)
    raise ValueError(
        f"{path} is not readable as a folder, a zip or a tar (plain, gz, bz2, xz): "
        "it is something else, truncated or corrupt; make or copy it again"
    )


def _folder_members(folder: Path) -> Iterator[Member]:
    names = []
    for root, folders, files in os.walk(folder, followlinks=True):
        here = Path(root)
        # A link to a folder above itself would never end.
        folders[:] = [f for f in folders if not here.resolve().is_relative_to((here / f).resolve())]
        yield from ((f"{_safe(folder, str(here.relative_to(folder) / f))}/", 0, bytes) for f in folders)
        names += [(here / file).relative_to(folder).as_posix() for file in files]
    for name in sorted(names):
        file = folder / name
        yield _safe(folder, name), file.stat().st_size, file.read_bytes


def _zip_members(path: Path, encoding: str | None) -> Iterator[Member]:
    with zipfile.ZipFile(path, metadata_encoding=encoding) as archive:
        for info in archive.infolist():
            stored = _zip_name(info, encoding)
            name = _safe(path, stored)
            if info.flag_bits & 1:
                raise ValueError(f"{path}: member {name!r} is encrypted; make the archive without a password")
            if stat.S_ISLNK(info.external_attr >> 16):  # where it leads to is a member of its own
                _safe_link(path, name, archive.read(info).decode("utf-8", "replace"))
            elif stored.endswith("/"):
                yield f"{name}/", 0, bytes
            else:
                yield name, info.file_size, lambda info=info: archive.read(info)  # type: ignore[misc]


def _zip_name(info: zipfile.ZipInfo, encoding: str | None) -> str:
    """Decode a member's name: macOS writes UTF-8 without saying so, some Windows tools write backslashes."""
    name = info.filename
    if encoding is None and not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")  # which may be the second byte of a character of Shift-JIS or GBK


def _tar_members(path: Path, encoding: str) -> Iterator[Member]:
    with tarfile.open(path, encoding=encoding) as archive:
        for info in archive:
            name = _safe(path, info.name)
            if info.issym():
                _safe_link(path, name, info.linkname)
            elif info.islnk():
                _safe(path, info.linkname)
            elif not (info.isreg() or info.isdir()):
                raise ValueError(f"{path}: unsafe member {name!r} is a device; make the archive without it")
            if info.isdir():
                yield f"{name}/", 0, bytes
            else:
                yield name, info.size, lambda info=info: _tar_bytes(archive, info)  # type: ignore[misc]
        # tarfile takes a damaged header, and an end without its mark, for the end.
        assert archive.fileobj is not None
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("no end mark where the archive ends")
        while archive.fileobj.read(2**20):  # to the end, where the checksum of gz, bz2 and xz is
            pass


def _tar_bytes(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)  # follows links inside the archive
    if file is None:
        raise KeyError(f"{info.name!r} links to a folder")
    data = file.read(MAX_MEMBER_BYTES + 1)
    if info.isreg() and len(data) != info.size:
        raise tarfile.ReadError(f"{len(data)} of {info.size} bytes")
    return data


def _safe(path: Path, name: str) -> str:
    """Return the name in its plain form, if it stays inside the archive and is valid UTF-8."""
    plain = PurePosixPath(name)
    if plain.is_absolute() or ".." in plain.parts or name[1:3] in (":/", ":\\"):
        raise ValueError(
            f"{path}: unsafe member name {name!r}: expected a relative path without '..'; "
            "do not trust this archive, or make it again"
        )
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            f"{path}: the member name {name!r} is not UTF-8; rename the file or, of an archive, "
            "set folder.encoding"
        ) from None
    return str(plain)


def _safe_link(path: Path, name: str, target: str) -> None:
    """Refuse a symbolic link whose target, seen from the link's own folder, lies outside."""
    if posixpath.normpath(posixpath.join(posixpath.dirname(name), target)).startswith(("/", "..")):
        raise ValueError(f"{path}: unsafe member {name!r} is a link to {target!r}, outside; leave it out")


@contextmanager
def readable(path: Path, name: str = "") -> Iterator[None]:
    """Turn every error of the libraries into one that names the corrupt archive and member."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of gzip or bz2
            raise
        where = f"{path}: member {name!r}" if name else path
        raise ValueError(
            f"{where} is corrupt or truncated ({error}); make or copy the archive again"
        ) from error
