"""Download a published archive, once, and believe nothing but its checksum."""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

ATTEMPTS = 3
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces: a slow server that sends is waited for


@dataclass(frozen=True)
class Source:
    """A published archive.

    Attributes:
        url: where it is downloaded from.
        checksum: of the file: ``sha256:`` or ``md5:`` and hexadecimal digits, as it was published.
        size: of the file, in bytes.
        licence: under which terms the images may be used.
        citation: the work to cite.
        homepage: a page that describes it.
    """

    url: str
    checksum: str
    size: int
    licence: str
    citation: str
    homepage: str


class DownloadError(ValueError):
    """The archive could not be had; the text says what was expected, what came and what to do."""


def download(source: Source, folder: Path, cache: Path, pause: float = 2.0) -> Path:
    """Put a published archive into a folder, from the cache or else from the network.

    A transfer goes to a ``.part`` file, which gets its final name when size and checksum are right; a
    broken one leaves nothing and starts again.

    Args:
        source: what to download.
        folder: where the archive is wanted; it is made.
        cache: folder that keeps the archive; a file put there by hand, under its own name, is used.
        pause: seconds between two attempts.

    Returns:
        The archive's path in ``folder``.

    Raises:
        DownloadError: if the server cannot be reached, refuses, or sends another file.
    """
    name = source.url.rsplit("/", 1)[-1]
    cached = cache / name
    if not cached.exists() or _fault(cached, source):
        _transfer(source, cached, pause)
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(cached, folder / name))


def _transfer(source: Source, target: Path, pause: float) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        fault = _get(source.url, part, pause) or _fault(part, source)
        if fault:
            there = f" (the file there now has {_fault(target, source)})" if target.exists() else ""
            raise DownloadError(
                f"downloading {source.url} failed: expected {source.size} bytes with "
                f"{source.checksum.replace(':', '=')}, received {fault}. "
                f"Try again, or put the file by hand at {target}{there}"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _get(url: str, part: Path, pause: float) -> str | None:
    """Fetch the file, again after a transient failure; what went wrong at last, or None."""
    get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=TIMEOUT)
    fault = None
    for attempt in range(ATTEMPTS):
        time.sleep(pause * attempt)
        try:
            get(url, str(part), None)
        except requests.HTTPError as error:
            answer = error.response
            assert answer is not None
            fault = f"HTTP status {answer.status_code} ({answer.reason})"
            if answer.status_code < 500:
                return fault
        except requests.RequestException as error:
            fault = f"no complete answer ({error})"
        else:
            return None
    return fault


def _fault(file: Path, source: Source) -> str | None:
    """What is wrong with a file, or None."""
    size = file.stat().st_size
    if size != source.size:
        return f"{size} bytes (truncated, or another file)"
    algorithm, expected = source.checksum.split(":")
    received = pooch.file_hash(str(file), alg=algorithm)
    return None if received == expected else f"{algorithm}={received} (corrupt, or another file)"
