"""Your own images: an image folder per class, a tree of splits of them, or a zip or tar of either."""

from collections import Counter
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path

from graft.config.data import Folder
from graft.data.archives import list_names, read_members
from graft.data.layout import Tree
from graft.data.listing import Listed, find_listed, list_file, read_listed, read_listing, write_listing
from graft.data.raw import Ignored, RawImage, is_image, list_classes
from graft.data.survey import Survey, survey
from graft.data.zip_names import describe_names, list_unclear_names
from graft.utils.files import read_json, write_json
from graft.utils.progress import track

SOURCE = None
SURVEY = "survey.json"  # in `raw`, beside the listing
PLAIN = Folder(layout="auto", encoding=None)


def fetch(raw: Path, source: Path, cache: Path, options: Folder = PLAIN) -> None:  # noqa: ARG001
    """List the images of the folder ``source``, or the archive, in ``raw``, once all is checked.

    Raises:
        FileNotFoundError: if ``source`` does not exist.
        ValueError: if it has no images, images without a class folder or fewer than two classes, if the
            names of its folders leave open what the classes are, or if it is an archive that is corrupt or
            not safe.
    """
    if not source.exists():
        raise FileNotFoundError(
            f"source={source} does not exist: expected an image folder per class, or a zip or tar of one; "
            "give yours with -S source=PATH"
        )
    found = _survey(source, options)
    print(f"source={source}: {_describe(found)}")
    if not options.encoding and (unclear := list_unclear_names(source)):
        print(f"WARNING: source={source}: {describe_names(unclear)}")
    write_listing([list_file(source)] if source.is_file() else _list_images(source, found.images), raw)
    facts = {
        "source": source.as_posix(),
        "tree": found.tree._asdict(),
        "ignored": found.ignored._asdict(),
        "encoding": options.encoding,
    }
    write_json(facts, raw / SURVEY)


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the images that `fetch` listed in ``raw``, from where they are.

    Raises:
        ValueError: if one, or the archive, is gone or has changed since.
    """
    facts = read_json(raw / SURVEY)
    tree = Tree(**facts["tree"])
    for name, data in _read_files(raw, Path(facts["source"]), tree, facts["encoding"]):
        place = tree.place(name)
        assert place
        yield RawImage(name, *place, data)


def read_ignored(raw: Path) -> Ignored:
    """Read what `fetch` ignored."""
    return Ignored(**read_json(raw / SURVEY)["ignored"])


def _list_images(source: Path, images: Collection[str]) -> Iterator[Listed]:
    members = read_members(source, set(images).__contains__)
    for name, data in track(members, "list", len(images)):
        yield Listed((source / name).as_posix(), sha256(data).hexdigest(), len(data))


def _read_files(raw: Path, source: Path, tree: Tree, encoding: str | None) -> Iterator[tuple[str, bytes]]:
    files = read_listing(raw)
    if [file.path for file in files] == [source.as_posix()]:
        yield from read_members(
            find_listed(files[0]), lambda name: is_image(name) and tree.place(name) is not None, encoding
        )
        find_listed(files[0])  # the same to the end
    else:
        for file in files:
            yield Path(file.path).relative_to(source).as_posix(), read_listed(file)


def _survey(source: Path, options: Folder) -> Survey:
    left_out = Counter[str]()
    names = list_names(
        source, options.encoding, lambda _, reason: left_out.update([reason.removeprefix("a ")])
    )
    try:
        found = survey(names, options.layout)
    except ValueError as error:
        raise ValueError(f"source={source} {error}") from None
    files = dict(sorted({**found.ignored.files, **left_out}.items()))
    return found._replace(ignored=found.ignored._replace(files=files))


def _describe(found: Survey) -> str:
    splits = found.tree.splits or {}
    named = ", ".join(f"{split} (folder {top})" for top, (split, _) in splits.items())
    ignored = ", ".join(f"{n:,} {kind}" for kind, n in found.ignored.files.items())
    return (
        f"{list_classes(found.labels)}"
        f"{f'; splits: {named}' * bool(named)}{f'; ignored files: {ignored}' * bool(ignored)}"
    )
