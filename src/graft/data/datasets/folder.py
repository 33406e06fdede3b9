"""Your own images: an image folder per class, a tree of splits of them, or a zip or tar of either."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from graft.config.types import SPLITS
from graft.data.archives import list_members, read_members
from graft.data.raw import IMAGE_EXTENSIONS, RawImage, is_image
from graft.utils.progress import track

SOURCE = None
LOOKALIKES = {"val", "valid", "dev", "training", "testing"}  # that would pass for classes


def fetch(raw: Path, source: Path, cache: Path) -> None:  # noqa: ARG001
    """Copy the images of the folder ``source``, or the archive as it is, to ``raw``, once all is checked.

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
    others = Counter(PurePosixPath(name).suffix for name in list_members(source, _is_unknown))
    if others:
        print(f"source={source}: ignored files that are no images by their extension: {dict(others)}")
    copied = names if source.is_dir() else []
    for name in track(copied, "copy", len(copied)):
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
    """Find label and split (or None) of each image in its path, which has ``/``.

    A folder around everything is ignored. Where all top folders are called train, validation or test,
    the folders in them are the classes; else the top folders are. Deeper folders belong to the class.

    Raises:
        ValueError: if an image has no class folder, or a tree of splits has one of another name.

    >>> assign_places(["roses/red/1.jpg", "tulips/2.jpg"])
    {'roses/red/1.jpg': ('roses', None), 'tulips/2.jpg': ('tulips', None)}
    """
    parts = _unwrap({name: PurePosixPath(name).parts for name in names})
    tops = {p[0] for p in parts.values() if len(p) > 1}
    is_tree = bool(tops) and {top.lower() for top in tops} <= LOOKALIKES.union(SPLITS)
    if is_tree and not tops.issubset(SPLITS):
        raise ValueError(
            f"a tree of splits expects {', '.join(sorted(SPLITS))}, received {', '.join(sorted(tops))}; "
            "rename these folders"
        )
    depth, expected = (2, "<split>/<class>/<image>") if is_tree else (1, "<class>/<image>")
    loose = sorted(name for name, p in parts.items() if len(p) <= depth)
    if loose:
        raise ValueError(
            f"images without a class folder: expected {expected}, received {loose[0]!r} "
            f"({len(loose)} in all); move each into the folder of its class"
        )
    return {name: (p[1], p[0]) if is_tree else (p[0], None) for name, p in parts.items()}


def _unwrap(parts: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Remove the folders that are around everything."""
    tops = {p[0] for p in parts.values()}
    if len(tops) != 1 or tops.issubset(SPLITS) or any(len(p) < 3 for p in parts.values()):
        return parts
    return _unwrap({name: p[1:] for name, p in parts.items()})


def _is_unknown(name: str) -> bool:
    return not is_image(name) and is_image(f"{name}{IMAGE_EXTENSIONS[0]}")


def _check(source: Path, names: list[str]) -> None:
    if not names:
        raise ValueError(
            f"source={source} holds no image: expected files ending in {' '.join(IMAGE_EXTENSIONS)} in a "
            "folder per class; give yours with -S source=PATH"
        )
    try:
        places = assign_places(names)
    except ValueError as error:
        raise ValueError(f"source={source}: {error}") from None
    classes = sorted({label for label, _ in places.values()})
    if len(classes) < 2:
        raise ValueError(
            f"{source=!s} has one class only: expected at least two folders, received {classes[0]!r}"
        )
