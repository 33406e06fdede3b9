"""Read a tar forwards, a member at a time, and through no more than `max_content` bytes."""

import bz2
import gzip
import io
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache, partial
from lzma import LZMADecompressor
from pathlib import Path
from typing import IO

from graft.data.members import (
    DAMAGE,
    NAMES_BYTES,
    ArchiveError,
    Member,
    Skip,
    bomb,
    max_content,
    safe_link,
    safe_name,
)

HEADER_BYTES = 2**20  # of all that comes before a member's content: long names, pax, a map of holes
MAX_LINKS = 40  # from one to the next, as on Linux
XZ_MEMORY = 256 * 2**20  # bytes; `xz -9` takes 64 MiB
XZ_PIECE = 2**16


def is_tar(path: Path) -> bool:
    """Tell by its first block that a file is a tar (plain, gz, bz2, xz)."""
    try:
        with _opened(path) as file:
            block = file.read(tarfile.BLOCKSIZE)
            tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # of an empty one
        return True
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return False
    return True


def tar_members(path: Path, encoding: str, skip: Skip) -> Iterator[Member]:
    """Yield the files of a tar in its own order, and then its links, in the order of their targets.

    Args:
        path: of the tar.
        encoding: of its names.
        skip: is told the links that lead to no file of the archive.

    Raises:
        ArchiveError: if it is not safe, or a bomb; what is not readable raises one of `DAMAGE`.
    """
    links = dict[str, str]()
    with _Tar(path, encoding) as tar:
        for info, name in tar.infos():
            if info.issym():
                links[name] = safe_link(path, name, info.linkname)
            elif info.islnk():
                links[name] = safe_name(path, info.linkname)
            elif info.isreg():
                yield name, info.size, partial(tar.read, info)
            elif info.isdir():
                yield f"{name}/", 0, bytes
            else:
                raise ArchiveError(f"{path}: unsafe member {name!r} is a device; make the archive without it")
        tar.check_end()
    yield from _linked(path, encoding, links, skip) if links else ()


def _linked(path: Path, encoding: str, links: Mapping[str, str], skip: Skip) -> Iterator[Member]:
    """Read the archive a second time, which makes no link lead backwards in a compressed file."""
    names = defaultdict(list)
    for name in links:
        target = name
        for _ in range(MAX_LINKS):
            target = links.get(target, target)
        names[target].append(name)
    with _Tar(path, encoding) as tar:
        for info, name in tar.infos():
            if info.isreg():
                read = cache(partial(tar.read, info))
                yield from ((link, info.size, read) for link in names.pop(name, ()))
    for link in sorted(link for group in names.values() for link in group):
        skip(link, "a link to no file of the archive")


class _Tar:
    """An open tar."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.encoding = path, encoding

    def __enter__(self) -> "_Tar":
        with ExitStack() as stack:
            file = stack.enter_context(_opened(self.path))
            self.stream = _Stream(file, self.path)
            self.archive = stack.enter_context(
                tarfile.open(fileobj=self.stream, mode="r:", encoding=self.encoding)  # type: ignore[call-overload]
            )
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def infos(self) -> Iterator[tuple[tarfile.TarInfo, str]]:
        """Yield each member's header and its name in the plain form."""
        n_bytes = 0
        while info := self.archive.next():
            name = safe_name(self.path, info.name)
            n_bytes += 100 + len(info.name) + len(info.linkname)
            if n_bytes > NAMES_BYTES:
                raise ArchiveError(
                    f"{self.path} has too many members: expected names of at most {NAMES_BYTES:,} bytes in "
                    "all; make several archives, or unpack it and give the folder"
                )
            if info.size < 0 or self.archive.offset <= info.offset:
                raise tarfile.ReadError("a member of negative size")
            # tarfile keeps every header, and every later member would copy what a global one defines.
            self.archive.members.clear()
            self.archive.pax_headers.clear()
            yield info, name
            self.stream.allowed = HEADER_BYTES

    def read(self, info: tarfile.TarInfo) -> bytes:
        """Read a file that is no link."""
        self.stream.allowed = info.size
        file = self.archive.extractfile(info)
        assert file is not None
        data: bytes = file.read(info.size)
        if len(data) != info.size:
            raise tarfile.ReadError(f"{len(data)} of {info.size} bytes")
        return data

    def check_end(self) -> None:
        """Raise a ReadError where the archive ends too early, or is damaged in the middle.

        tarfile takes a damaged header, and an end without its mark, for the end.
        """
        self.stream.seek(self.archive.offset)
        if self.stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("no end mark where the archive ends")
        self.stream.allowed = sys.maxsize
        while self.stream.read(2**20):  # to the end, where the checksum of gz, bz2 and xz is
            pass


class _Stream:
    """A file for tarfile that gives no more bytes than are `allowed`, until that is set again."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path, self.tell = file, path, file.tell
        self.limit, self.allowed = max_content(path), HEADER_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.allowed:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.allowed -= size
        data = self.file.read(size)
        self._check(self.tell())
        return data

    def seek(self, offset: int) -> int:
        self._check(offset)
        return self.file.seek(offset)

    def _check(self, offset: int) -> None:
        if offset > self.limit:
            raise bomb(self.path, self.limit)


def _opened(path: Path) -> IO[bytes]:
    """Open a tar, decompressed by what its first bytes say."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.open(path)
    return io.BufferedReader(_Xz(path)) if magic == b"\xfd7zXZ\0" else path.open("rb")


class _Xz(io.RawIOBase):
    """An xz file as `lzma.open` has it, but within `XZ_MEMORY`: the file itself says how much it takes."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self._rewind()

    def _rewind(self) -> None:
        self.file.seek(0)
        self.rest, self.place, self.decompressor = b"", 0, LZMADecompressor(memlimit=XZ_MEMORY)

    def close(self) -> None:
        self.file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, _: int = 0) -> int:
        if offset < self.place:
            self._rewind()
        while self.place < offset and self.read(min(XZ_PIECE, offset - self.place)):
            pass
        return self.place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = b""
        while not data and self._has_more():
            data, self.rest = self.decompressor.decompress(self.rest, len(buffer)), b""
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def _has_more(self) -> bool:
        """Fetch the next piece, of this stream or of another that follows it."""
        if self.decompressor.needs_input:
            self.rest = self.file.read(XZ_PIECE)
            if not self.rest:
                raise EOFError("the xz stream has no end")
        elif self.decompressor.eof:
            self.rest = self.decompressor.unused_data.lstrip(b"\0")
            while not self.rest and (piece := self.file.read(XZ_PIECE)):
                self.rest = piece.lstrip(b"\0")
            if not self.rest:
                return False
            self.decompressor = LZMADecompressor(memlimit=XZ_MEMORY)
        return True
