"""Your own images: an image folder per class, a tree of splits of them, or a zip or tar of either."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from graft.config.data import Folder
from graft.data.archives import list_names, read_members
from graft.data.layout import Tree
from graft.data.raw import Ignored, RawImage, is_image, list_classes
from graft.data.survey import Survey, survey
from graft.data.zip_names import describe_names, list_unclear_names
from graft.utils.files import read_json, write_json
from graft.utils.progress import track

SOURCE = None
SURVEY = "survey.json"  # in `raw`, beside the images or the archive
PLAIN = Folder(layout="auto", encoding=None)


def fetch(raw: Path, source: Path, cache: Path, options: Folder = PLAIN) -> None:  # noqa: ARG001
    """Copy the images of the folder ``source``, or the archive as it is, to ``raw``, once all is checked.

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
    raw.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, raw / source.name)
    else:
        for name in track(found.images, "copy", len(found.images)):
            (raw / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, raw / name)
    facts = {"tree": found.tree._asdict(), "ignored": found.ignored._asdict(), "encoding": options.encoding}
    write_json(facts, raw / SURVEY)


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the images that `fetch` put into ``raw``."""
    facts = read_json(raw / SURVEY)
    tree = Tree(**facts["tree"])
    archives = [path for path in raw.iterdir() if path.is_file() and path.name != SURVEY]

    def is_kept(name: str) -> bool:
        return is_image(name) and tree.place(name) is not None

    for name, data in read_members(archives[0] if archives else raw, is_kept, facts["encoding"]):
        place = tree.place(name)
        assert place
        yield RawImage(name, *place, data)


def read_ignored(raw: Path) -> Ignored:
    """Read what `fetch` ignored."""
    return Ignored(**read_json(raw / SURVEY)["ignored"])


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
