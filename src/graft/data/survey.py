"""A source's names -> the images to read, and an account of everything that is not read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from graft.config.data import Layout
from graft.data.layout import Tree, find_tree, read_split
from graft.data.raw import IMAGE_EXTENSIONS, Ignored, is_image

# Images all the same, but in formats that are not read.
OTHER_FORMATS = (
    *(".tif", ".tiff", ".jfif", ".jpe", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".pbm"),
    *(".pnm", ".dcm", ".raw", ".cr2", ".nef", ".arw", ".dng", ".psd", ".tga", ".exr", ".hdr", ".svg", ".ico"),
)
# Folders that programs make beside one's own.
NOT_CLASSES = {"__MACOSX", ".git", ".svn", ".hg", ".dvc", ".ipynb_checkpoints", ".thumbnails", ".cache"}


class Survey(NamedTuple):
    """The images of a source in their tree, and what is ignored."""

    tree: Tree
    images: list[str]
    ignored: Ignored

    @property
    def labels(self) -> list[str]:
        """The classes, sorted."""
        return sorted({place.label for name in self.images if (place := self.tree.place(name))})


def survey(names: Sequence[str], layout: Layout) -> Survey:
    """Tell a source's images from everything else.

    Args:
        names: of all its files and, with a ``/`` at the end, folders.
        layout: as `find_tree` takes it.

    Raises:
        ValueError: if there is no image or only one class, or as `find_tree` does.
    """
    files = [name for name in names if not name.endswith("/")]
    images = [name for name in files if is_image(name)]
    if not images:
        raise ValueError(
            f"holds no image: expected files ending in {' '.join(IMAGE_EXTENSIONS)} in a folder per class, "
            f"received {_count(files) or 'no file'}; give yours with -S source=PATH"
        )
    tree = find_tree(images, [name for name in files if _kind(name) in OTHER_FORMATS], layout)
    kept = [name for name in images if tree.place(name)]
    kinds = Counter(_kind(name) for name in files if not is_image(name))
    kinds |= Counter({"beside the splits": len(images) - len(kept)})
    folders, empty = Counter(_find_folders(names, kept)), dict(_find_empty(tree, names, kept))
    found = Survey(tree, kept, Ignored(_sorted(kinds), _sorted(folders), empty))
    if len(found.labels) < 2:
        others = "".join(f"; no image of {label!r} ({why})" for label, why in empty.items())
        raise ValueError(
            f"has one class only: expected at least two folders, received {found.labels[0]!r}{others}"
        )
    return found


def _kind(file: str) -> str:
    path = PurePosixPath(file)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return "hidden" if hidden else path.suffix.lower() or "without extension"


def _count(files: Iterable[str]) -> str:
    """Count files by kind, such as ``12 .tif, 1 hidden``."""
    return ", ".join(f"{n} {kind}" for kind, n in _sorted(Counter(map(_kind, files))).items())


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in sorted(counts.items()) if n}


def _folders_of(name: str) -> Iterator[str]:
    """List the folders around a name, and itself if it is one, from the innermost."""
    if name.endswith("/"):
        yield name[:-1]
    yield from map(str, PurePosixPath(name).parents[:-1])


def _find_folders(names: Sequence[str], kept: Iterable[str]) -> Iterator[str]:
    """Yield the kind of each folder, but for those in such a one, that has no image to read in it."""
    read = {".", *(folder for name in kept for folder in _folders_of(name))}
    n_files = Counter(folder for name in names if not name.endswith("/") for folder in _folders_of(name))
    for folder in sorted({folder for name in names for folder in _folders_of(name)} - read):
        path = PurePosixPath(folder)
        if str(path.parent) in read:
            hidden = path.name.startswith(".") or path.name == "__MACOSX"
            yield "hidden" if hidden else "without images" if n_files[folder] else "empty"


def _find_empty(tree: Tree, names: Sequence[str], kept: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each class, and each folder of a split, without an image to read, and why there is none."""
    files: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for owner in _find_owners(tree, name):
            files[owner] += [] if name.endswith("/") else [name]
    read = {owner for name in kept for owner in _find_owners(tree, name)}
    for owner in sorted(files.keys() - read - NOT_CLASSES):
        if not owner.startswith("."):
            yield owner, _count(files[owner]) or "an empty folder"
        elif any(PurePosixPath(name).suffix.lower() in IMAGE_EXTENSIONS for name in files[owner]):
            yield owner, "its name begins with a dot"


def _find_owners(tree: Tree, name: str) -> set[str]:
    """Find the classes, and the folders of splits, that a name belongs to."""
    owners = set()
    for folder in _folders_of(name):
        inner = tree.within(folder)
        if not tree.place(folder) and (place := tree.place(f"{folder}/x")):
            owners.add(place.label)
        elif tree.splits is not None and len(inner) == 1 and read_split(inner[0]):
            owners.add(inner[0])
    return owners
