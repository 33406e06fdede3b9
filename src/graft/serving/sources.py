"""Names of files, folders, globs and archives, also on standard input -> images."""

import os
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, NamedTuple

from graft.data.archives import MAX_MEMBER_BYTES, iter_members
from graft.data.raw import IMAGE_EXTENSIONS, is_image

STDIN = "-"


class Source(NamedTuple):
    """An image file that was found.

    Attributes:
        path: its name; of a member of an archive ``archive/name``.
        read: gives its bytes, before the next one is asked for; or raises an OSError or a ValueError that
            says why it cannot.
    """

    path: str
    read: Callable[[], bytes]


def find_images(names: Iterable[str], stdin: BinaryIO | None = None) -> Iterator[Source]:
    """Find the images that names stand for, in their order; what does not exist cannot be read.

    Args:
        names: each a file; a folder, whose images are found in it and below, in the order of their names;
            a zip or a tar; a glob such as ``photos/**/*.jpg``; or ``-``, for names on standard input, with a
            line each or separated by NUL.
        stdin: read as far as its names are asked for; None: the standard input.
    """
    for name in names:
        if name == STDIN:
            lines = (part for line in stdin or sys.stdin.buffer for part in line.rstrip(b"\r\n").split(b"\0"))
            yield from find_images((os.fsdecode(line) for line in lines if line and line != b"-"), stdin)
        elif has_magic(name) and not os.path.lexists(name):
            found = sorted(glob(name, recursive=True))  # noqa: PTH207  # of an absolute name as well

            yield from find_images(found, stdin) if found else [_unreadable(name, "matches no file")]
        else:
            yield from _look(name)


def count_images(names: Sequence[str]) -> int | None:
    """Count what `find_images` would find; None where that takes reading an archive or standard input."""
    if any(name == STDIN or (Path(name).is_file() and _may_be_archive(name)) for name in names):
        return None
    return sum(1 for _ in find_images(names))


def _look(name: str) -> Iterator[Source]:
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError) as error:
        yield _unreadable(name, getattr(error, "strerror", None) or str(error))
        return
    if stat.S_ISDIR(mode):
        yield from (Source(path, _reader(path)) for path in walk(name))
    elif stat.S_ISREG(mode) and _may_be_archive(name):
        yield from _members(name)
    else:
        yield Source(name, _reader(name))


def walk(folder: str) -> Iterator[str]:
    """Yield the paths of a folder's image files, sorted in each folder, each folder once however linked."""
    seen = set[tuple[int, int]]()
    for root, folders, files in os.walk(folder, followlinks=True):
        found = Path(root).stat()
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders.sort()
        paths = [Path(root, file) for file in sorted(files)]
        yield from (str(path) for path in paths if is_image(path.relative_to(folder).as_posix()))


def _may_be_archive(file: str) -> bool:
    """Tell a zip or a tar by what is in it, unless its name says that it is an image."""
    if file.lower().endswith(IMAGE_EXTENSIONS):
        return False
    with suppress(OSError):
        return zipfile.is_zipfile(file) or tarfile.is_tarfile(file)
    return False


def _members(archive: str) -> Iterator[Source]:
    members = iter_members(Path(archive), is_image)
    while True:
        try:
            name, read = next(members)
        except StopIteration:
            return
        except (OSError, ValueError) as error:
            yield _unreadable(archive, str(error).removeprefix(f"{archive}: "))
            return
        yield Source(f"{archive}/{name}", read)


def _reader(name: str) -> Callable[[], bytes]:
    def read() -> bytes:
        found = Path(name).stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a regular file")
        if found.st_size > MAX_MEMBER_BYTES:
            raise ValueError(f"{found.st_size:,} bytes exceed the limit of {MAX_MEMBER_BYTES:,}")
        return Path(name).read_bytes()

    return read


def _unreadable(name: str, reason: str) -> Source:
    def read() -> bytes:
        raise ValueError(reason)

    return Source(name, read)
