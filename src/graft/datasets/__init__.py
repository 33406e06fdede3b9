"""Datasets: one module each. A new dataset is one new file in this folder.

A dataset module has

- ``SOURCE``: the `Source` that it downloads, a tuple of them, or None;
- ``fetch(raw, source, cache, params)``: fills the folder ``raw`` (``data/raw``);
- ``read(raw)``: yields its images, in any order, straight from what ``fetch`` put there.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import ModuleType
from typing import NamedTuple

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


class RawImage(NamedTuple):
    """An image file as it came: not decoded, not yet trusted.

    Attributes:
        path: its name inside the source, with ``/``, all folders included.
        label: its class.
        split: train, validation or test where the source says so, else None.
        data: the file's bytes.
    """

    path: str
    label: str
    split: str | None
    data: bytes


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


def load_dataset(name: str) -> ModuleType:
    """Import the dataset module of that name.

    Raises:
        ValueError: if there is no such dataset.
    """
    legal = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    if name not in legal:
        raise ValueError(f"unknown dataset={name!r}: expected one of {', '.join(legal)}")
    return importlib.import_module(f"{__name__}.{name}")


def is_image(name: str) -> bool:
    """Whether a member's name is that of an image: by its extension, and nothing hidden or of macOS's own."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in IMAGE_EXTENSIONS and not hidden
