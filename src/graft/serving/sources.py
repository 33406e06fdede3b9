"""Names of files, folders, globs and archives, also on standard input -> images."""

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from graft.data.archives import MAX_MEMBER_BYTES, is_archive, iter_members
from graft.data.folders import read_file, walk
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
            found = _expand(name)
            yield from find_images(found, stdin) if found else [_unreadable(name, "matches no file")]
        else:
            yield from _look(name)


def count_images(names: Sequence[str]) -> int | None:
    """Count what `find_images` would find; None where that takes reading an archive or standard input."""
    if any(name == STDIN or (Path(name).is_file() and _may_be_archive(name)) for name in names):
        return None
    return sum(1 for _ in find_images(names))


def _expand(pattern: str) -> list[str]:
    """List what a glob matches, sorted; ``**`` reads each folder once, however linked."""
    parts = PurePosixPath(pattern).parts
    if "**" not in parts:
        return sorted(glob(pattern))  # noqa: PTH207  # of an absolute name as well
    at = parts.index("**")
    return sorted(
        str(Path(folder, found.name))
        for folder in glob(f"{PurePosixPath(*parts[:at])}/")  # noqa: PTH207
        for found in walk(Path(folder))
        if found.error
        or (not found.name.endswith("/") and _matches(PurePosixPath(found.name).parts, parts[at:]))
    )


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell that a path, or a folder that it is in, matches as with ``glob``: not what is hidden."""
    if not pattern:
        return not parts or is_image("/".join(parts))
    if pattern[0] == "**":
        visible = next((i for i, part in enumerate(parts) if part.startswith(".")), len(parts))
        return any(_matches(parts[i:], pattern[1:]) for i in range(visible + 1))
    hidden = bool(parts) and parts[0].startswith(".") and not pattern[0].startswith(".")
    return (
        bool(parts) and not hidden and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
    )


def _look(name: str) -> Iterator[Source]:
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError) as error:
        yield _unreadable(name, getattr(error, "strerror", None) or str(error))
        return
    if stat.S_ISDIR(mode):
        yield from _walk(name)
    elif stat.S_ISREG(mode) and _may_be_archive(name):
        yield from _members(name)
    else:
        yield _file(name)


def _walk(folder: str) -> Iterator[Source]:
    """The images of a folder, sorted, and what in it cannot be listed."""
    for found in sorted(walk(Path(folder))):
        path = str(Path(folder, found.name))
        if found.error or (found.fault and is_image(found.name)):
            yield _unreadable(path, found.fault)
        elif is_image(found.name) and not found.name.endswith("/"):
            yield _file(path)


def _may_be_archive(file: str) -> bool:
    """Tell a zip or a tar by what is in it, unless its name says that it is an image."""
    with suppress(OSError):
        return not file.lower().endswith(IMAGE_EXTENSIONS) and is_archive(Path(file))
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


def _file(name: str) -> Source:
    return Source(name, partial(read_file, Path(name), MAX_MEMBER_BYTES))


def _unreadable(name: str, reason: str) -> Source:
    def read() -> bytes:
        raise ValueError(reason)

    return Source(name, read)
