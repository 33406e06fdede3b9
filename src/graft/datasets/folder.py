"""Your own images: an image folder per class, a zip or tar of one, or a train/validation/test tree of them."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from graft.archives import list_members, read_members
from graft.datasets import IMAGE_EXTENSIONS, RawImage, is_image

SOURCE = None
SPLITS = {"train", "validation", "test"}
LOOKALIKES = {"val", "valid", "training", "testing"}


def fetch(raw: Path, source: Path, cache: Path, params: Any) -> None:  # noqa: ARG001
    """Copy the images of a folder, or an archive as it is, to ``raw``.

    Args:
        raw: folder to fill; nothing is written there unless every check has passed.
        source: the folder, or the zip or tar.
        cache: not used.
        params: not used.

    Raises:
        FileNotFoundError: if ``source`` does not exist.
        ValueError: if it has no images, images without a class folder or fewer than two classes, or if it
            is an archive that is corrupt or not safe.
    """
    if not source.exists():
        raise FileNotFoundError(
            f"source={source} does not exist: expected an image folder per class, or a zip or tar of one; "
            "give yours with -S source=PATH"
        )
    names = list_members(source, is_image)
    _check(source, names)
    for name in names if source.is_dir() else []:
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, raw / name)
    if source.is_file():
        raw.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, raw / source.name)


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the images that `fetch` put into ``raw``."""
    archives = [path for path in raw.iterdir() if path.is_file()]  # copied folders leave no file there
    path = archives[0] if archives else raw
    places = assign_places(list_members(path, is_image))
    for name, data in read_members(path, is_image):
        yield RawImage(name, *places[name], data)


def assign_places(names: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Find label and split of each image in its path.

    One top folder around everything is seen through. Where the top folders are among train, validation and
    test and hold folders, these are the classes; else the top folders are. What lies deeper belongs to the class.

    Args:
        names: paths of images, with ``/``.

    Returns:
        Label and split (or None) of each name.

    Raises:
        ValueError: if an image has no class folder.
    """
    parts = {name: PurePosixPath(name).parts for name in names}
    while all(len(p) > 2 for p in parts.values()) and len(tops := {p[0] for p in parts.values()}) == 1:
        if tops <= SPLITS:
            break
        parts = {name: p[1:] for name, p in parts.items()}
    loose = [name for name, p in parts.items() if len(p) < 2]
    if loose:
        raise ValueError(
            f"{len(loose)} images have no class folder: expected <class>/<image>, received {loose[0]!r}; "
            "move each into the folder of its class"
        )
    tops = {p[0] for p in parts.values()}
    if tops <= SPLITS and all(len(p) > 2 for p in parts.values()):
        return {name: (p[1], p[0]) for name, p in parts.items()}
    return {name: (p[0], None) for name, p in parts.items()}


def _check(source: Path, names: list[str]) -> None:
    if not names:
        raise ValueError(
            f"source={source} holds no image: expected files ending in {' '.join(IMAGE_EXTENSIONS)} in a folder "
            "per class; give yours with -S source=PATH"
        )
    try:
        places = assign_places(names)
    except ValueError as error:
        raise ValueError(f"source={source}: {error}") from None
    classes = sorted({label for label, _ in places.values()})
    if len(classes) < 2:
        raise ValueError(
            f"source={source} has one class only: expected at least two class folders, received {classes[0]!r}"
        )
    tops = {PurePosixPath(name).parts[0] for name in names}
