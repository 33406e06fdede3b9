"""A member of an archive: its name, and the errors of one that is damaged or made to harm."""

import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path, PurePosixPath

# Raised for damage; by the libraries' parsers about any RuntimeError, LookupError and ValueError.
DAMAGE: tuple[type[Exception], ...] = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError)
DAMAGE += (LookupError, ValueError, ArithmeticError, RuntimeError, OSError)
NAMES_BYTES = 256 * 2**20  # of all names and their entries: some two million members
MAX_NAME_BYTES = 4096  # of a path, and so of what a link leads to, on Linux
# An archive may hold so many times its own size, and in any case so many bytes.
MAX_RATIO, ALWAYS_BYTES = 100, 4 * 2**30

# Name, with a `/` at the end of a folder's; the most bytes that it has, and a function that reads it.
Member = tuple[str, int, Callable[[], bytes]]
Skip = Callable[[str, str], object]  # is told the name and the reason of what is left out


class ArchiveError(ValueError):
    """An archive, or a folder, that is damaged or not safe to read; the text says what to do."""


def max_content(path: Path) -> int:
    """Compute how many bytes may come out of an archive; a bomb has more."""
    return max(MAX_RATIO * path.stat().st_size, ALWAYS_BYTES)


def bomb(path: Path, limit: int) -> ArchiveError:
    """The error of an archive that has more than `max_content`."""
    return ArchiveError(
        f"{path} is too large for its size on disk: expected at most {limit:,} bytes in all, received more; "
        "do not trust this archive, or unpack it and give the folder"
    )


def safe_name(path: Path, name: str) -> str:
    """Return a name in its plain form, if it stays inside the archive and is valid UTF-8.

    Raises:
        ArchiveError: if it does not, or is too long for a path.
    """
    plain = PurePosixPath(name)
    if plain.is_absolute() or ".." in plain.parts or name[1:3] in (":/", ":\\"):
        raise ArchiveError(
            f"{path}: unsafe member name {name!r}: expected a relative path without '..'; "
            "do not trust this archive, or make it again"
        )
    try:
        n_bytes = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise ArchiveError(
            f"{path}: the member name {name!r} is not UTF-8; rename the file or, of an archive, "
            "set folder.encoding"
        ) from None
    if n_bytes > MAX_NAME_BYTES:
        raise ArchiveError(
            f"{path}: the member name {name[:40]!r}... is too long: expected at most {MAX_NAME_BYTES} bytes, "
            f"received {n_bytes}; rename the file"
        )
    return str(plain)


def safe_link(path: Path, name: str, target: str) -> str:
    """Return the member that a symbolic link leads to, seen from the link's own folder.

    Raises:
        ArchiveError: if that lies outside.
    """
    found = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if found.startswith(("/", "..")):
        raise ArchiveError(f"{path}: unsafe member {name!r} is a link to {target!r}, outside; leave it out")
    return found


@contextmanager
def readable(path: Path, name: str = "") -> Iterator[None]:
    """Turn every error of the libraries into one that names the corrupt archive and member."""
    try:
        yield
    except ArchiveError:
        raise
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of gzip or bz2
            raise
        where = f"{path}: member {name!r}" if name else path
        raise ArchiveError(
            f"{where} is corrupt or truncated ({error}); make or copy the archive again"
        ) from error
