"""Walk a folder that people made: links, pipes and devices are in some. None makes it hang or end never."""

import os
import stat
from collections.abc import Iterator
from errno import ELOOP
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple

from graft.utils.errors import naming

SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Found(NamedTuple):
    """A file or a folder that is in a folder.

    Attributes:
        name: relative to the folder, with ``/``, also at the end of a folder's.
        size: bytes of a regular file; else 0.
        fault: why it is not read, if it is not.
        error: of the system, where that is why: a folder that may not be listed.
    """

    name: str
    size: int = 0
    fault: str = ""
    error: OSError | None = None


def walk(folder: Path) -> Iterator[Found]:
    """Yield what is in a folder and below it, through links to folders, each of which is read once.

    A folder that several names lead to has its own name, where it is below ``folder``, else the smallest of
    the links that were found before it is read. So it depends on nothing but the names. A link to a folder
    above it would lead outside, and is not followed.

    Yields:
        In no order that means anything; the same each time.
    """
    top = folder.resolve()
    seen = set[tuple[int, int]]()
    real, links = [""], list[str]()
    while real or links:
        name = real.pop() if real else heappop(links)
        try:
            status = (folder / name).stat()
            if (status.st_dev, status.st_ino) in seen:
                yield Found(name, fault="a folder that is read under another name")
                continue
            seen.add((status.st_dev, status.st_ino))
            if name:
                yield Found(f"{name}/")
            entries = sorted(os.scandir(folder / name), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            yield Found(name, fault=f"a folder that cannot be read ({error.strerror})", error=error)
            continue
        for entry in entries:
            path = f"{name}/{entry.name}".lstrip("/")
            if found := _look(entry, path):
                yield found
            elif not entry.is_symlink():
                real.append(path)
            elif top.is_relative_to((folder / path).resolve()):
                yield Found(path, fault="a link to a folder above it")
            else:
                heappush(links, path)


def _look(entry: os.DirEntry[str], name: str) -> Found | None:
    """None of a folder."""
    try:
        status = entry.stat()
    except OSError as error:
        if entry.is_symlink() and (isinstance(error, FileNotFoundError) or error.errno == ELOOP):
            return Found(name, fault="a link to nothing")
        return Found(name, fault=f"a file that cannot be read ({error.strerror})", error=error)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        return None
    return Found(name, fault=SPECIAL[kind]) if kind in SPECIAL else Found(name, status.st_size)


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a regular file: what else may be there under its name is not waited for.

    Raises:
        ValueError: if it is something else, larger, or changes while it is read; the text names no path.
        OSError: as usual.
    """
    # A pipe without a writer would block.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > max_bytes:
            raise ValueError(f"too large: expected at most {max_bytes:,} bytes, received {status.st_size:,}")
        with naming(path):
            data = file.read(status.st_size + 1)
    if len(data) != status.st_size:
        raise ValueError(
            f"changed while it was read: expected {status.st_size:,} bytes, received {len(data):,}"
        )
    return data
