"""The listing in `data/raw`: files that `prepare` reads from where they are, since graft keeps no copy."""

import csv
import io
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from graft.data.folders import read_file
from graft.utils.files import digest, write_text

LISTING = "listing.csv"


class Listed(NamedTuple):
    """A file as it was found: its path, the sha256 of its content in hexadecimal, its size in bytes."""

    path: str
    sha256: str
    size: int


def list_file(path: Path) -> Listed:
    """Describe a file, without having it in memory."""
    return Listed(path.as_posix(), digest(path), path.stat().st_size)


def write_listing(files: Iterable[Listed], raw: Path) -> None:
    """Write ``listing.csv`` (path, sha256, size) to the folder `raw`, in the order given."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)  # a name may hold anything
    table.writerow(Listed._fields)
    table.writerows(files)
    write_text(text.getvalue(), raw / LISTING)


def read_listing(raw: Path) -> list[Listed]:
    """Read the listing in the folder `raw`."""
    with (raw / LISTING).open(encoding="utf-8", newline="") as file:
        return [Listed(row["path"], row["sha256"], int(row["size"])) for row in csv.DictReader(file)]


def read_listed(file: Listed) -> bytes:
    """Read a file that is listed.

    Raises:
        ValueError: if it is another one now, or gone; the text says what to do.
        OSError: as usual.
    """
    try:
        data = read_file(Path(file.path), file.size)
    except (FileNotFoundError, NotADirectoryError):
        raise _changed(file, "no file") from None
    except ValueError as error:
        raise _changed(file, f"one that is {error}") from None
    _check(file, sha256(data).hexdigest())
    return data


def find_listed(file: Listed) -> Path:
    """Return the path of a file that is listed, such as an archive of any size; raises as `read_listed`."""
    path = Path(file.path)
    if not path.is_file():
        raise _changed(file, "no file")
    _check(file, digest(path))
    return path


def _check(file: Listed, found: str) -> None:
    if found != file.sha256:
        raise _changed(file, f"sha256={found}")


def _changed(file: Listed, received: str) -> ValueError:
    return ValueError(
        f"{file.path}: expected the file that `download` listed, of {file.size:,} bytes and "
        f"sha256={file.sha256}, received {received}; graft keeps no copy of a source: put the file back, run "
        "`dvc repro --force download` to list the source again, or run this where the source is. "
        "`graft back` brings back the prepared images of the last commit"
    )
