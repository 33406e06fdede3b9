"""Image files as they come: not decoded, not yet trusted."""

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")

LISTED = 10  # classes that a line names


class RawImage(NamedTuple):
    """An image file as it came: not decoded, not yet trusted."""

    path: str  # its name inside the source, with "/", including all folders
    label: str
    split: str | None  # train, validation or test where the source says so
    data: bytes


class Ignored(NamedTuple):
    """The part of a source that is not read."""

    files: Mapping[str, int] = MappingProxyType({})  # kind -> number
    folders: Mapping[str, int] = MappingProxyType({})
    classes: Mapping[str, str] = MappingProxyType({})  # class without an image that is read -> why


def list_classes(labels: Collection[str]) -> str:
    """Count classes and name the first of them, as they come.

    >>> list_classes(["cat", "dog"])
    '2 classes (cat, dog)'
    """
    more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
    count = "1 class" if len(labels) == 1 else f"{len(labels):,} classes"
    return f"{count} ({', '.join([*labels][:LISTED])}{more})"


def is_image(name: str) -> bool:
    """Tell by its name that a file is an image: it has an extension of one, and is not hidden or macOS's own.

    >>> [is_image(name) for name in ("cat/1.JPG", "cat/notes.txt", "__MACOSX/cat/1.jpg", ".git/1.jpg")]
    [True, False, False, False]
    """
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in IMAGE_EXTENSIONS and not hidden
