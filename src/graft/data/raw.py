"""Image files as they come: not decoded, not yet trusted."""

from pathlib import PurePosixPath
from typing import NamedTuple

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


class RawImage(NamedTuple):
    """An image file as it came: not decoded, not yet trusted."""

    path: str  # its name inside the source, with "/", including all folders
    label: str
    split: str | None  # train, validation or test where the source says so
    data: bytes


def is_image(name: str) -> bool:
    """Tell by its name that a file is an image: it has an extension of one, and is not hidden or macOS's own.

    >>> [is_image(name) for name in ("cat/1.JPG", "cat/notes.txt", "__MACOSX/cat/1.jpg", ".git/1.jpg")]
    [True, False, False, False]
    """
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in IMAGE_EXTENSIONS and not hidden
