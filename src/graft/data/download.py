"""Download a published archive, once, and believe nothing but its checksum."""

import io
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests

ATTEMPTS = 3
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces: a slow server that sends is waited for


@dataclass(frozen=True)
class Source:
    """A published archive: its address, the terms of its images, the work to cite, a page about it.

    Attributes:
        checksum: ``sha256:`` or ``md5:`` and hexadecimal digits, as it was published.
        size: in bytes.

    >>> md5 = "md5:900150983cd24fb0d6963f7d28e17f72"
    >>> source = Source("https://a.org/files/images.zip", md5, 3, "CC0", "none", "https://a.org")
    >>> source.name
    'images.zip'
    """

    url: str
    checksum: str
    size: int
    licence: str
    citation: str
    homepage: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


class _Limited(io.FileIO):
    """A file that takes little more than `limit` bytes: a server may send without an end."""

    limit = 0

    def write(self, data: Any, /) -> int:
        if self.tell() > self.limit:
            raise requests.ConnectionError(f"more than {self.limit} bytes")
        return super().write(data)


class DownloadError(OSError):
    """The archive could not be downloaded; the text says what was expected, what came and what to do."""


def download(source: Source, folder: Path, cache: Path) -> Path:
    """Put a published archive into a folder, from the cache or else from the network; return its path there.

    Pooch transfers to a temporary file, which gets its final name when size and checksum are right, and
    tries again after a broken transfer or a server's error.

    Args:
        source: the archive.
        folder: where the archive is wanted; it is made.
        cache: folder that keeps the archive; a file put there by hand, under its own name, is used.

    Raises:
        DownloadError: if the server cannot be reached, refuses, or sends another file.
    """
    registry, urls = {source.name: source.checksum}, {source.name: source.url}
    keeper = pooch.Pooch(cache, "", registry, urls, retry_if_failed=ATTEMPTS - 1)

    def transfer(url: str, file: str, _: object) -> None:
        get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=TIMEOUT)
        try:
            with _Limited(file, "wb") as limited:
                limited.limit = source.size
                get(url, limited, keeper)
        except requests.HTTPError as error:
            if (response := error.response) is not None:
                response.close()  # which pooch leaves open
                if response.status_code < 500:
                    raise _failure(source, cache, _describe(error)) from None
            raise
        if fault := _fault(Path(file), source):
            raise _failure(source, cache, fault)

    try:
        cached = keeper.fetch(source.name, downloader=transfer)
    except requests.RequestException as error:
        raise _failure(source, cache, _describe(error)) from None
    folder.mkdir(parents=True, exist_ok=True)
    return _place(Path(cached), folder / source.name)


def _place(cached: Path, target: Path) -> Path:
    """Give a file a second name; where it cannot have one, or is a link to a file of somebody's, copy it."""
    target.unlink(missing_ok=True)
    if not cached.is_symlink():
        with suppress(OSError):
            target.hardlink_to(cached)
            return target
    return Path(shutil.copyfile(cached, target))


def _describe(error: requests.RequestException) -> str:
    if error.response is None:
        return f"no complete response ({error})"
    return f"HTTP status {error.response.status_code} ({error.response.reason})"


def _failure(source: Source, cache: Path, received: str) -> DownloadError:
    target = cache / source.name
    there = f" (the file there now has {_fault(target, source)})" if target.exists() else ""
    return DownloadError(
        f"downloading {source.url} failed: expected {source.size} bytes with "
        f"{source.checksum.replace(':', '=')}, received {received}. "
        f"Try again, or put the file by hand at {target}{there}"
    )


def _fault(file: Path, source: Source) -> str | None:
    """Describe what is wrong with a file, if anything."""
    size = file.stat().st_size
    if size != source.size:
        return f"{size} bytes (truncated, or another file)"
    algorithm, expected = source.checksum.split(":")
    received = pooch.file_hash(str(file), alg=algorithm)
    return None if received == expected else f"{algorithm}={received} (corrupt, or another file)"
