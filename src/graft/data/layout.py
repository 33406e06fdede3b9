"""The layout of a folder of images: the class and the split of each, from the names of its folders alone."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from graft.config.data import Layout
from graft.config.types import Split

# How the folder of a split is called, in any case: alone, or beside words that those of all splits share.
WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout"), "test"),
}
_TOKEN = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of seg_train, TRAIN_set and trainData
_WORD = re.compile(f"({'|'.join(WORDS)})(set|data|images|imgs)?", re.IGNORECASE)

Parts = tuple[str, ...]  # the names of the folders and the file of a path
Tops = Mapping[str, Sequence[Parts]]  # folder -> what is in it, from there


class Place(NamedTuple):
    """The class and the split (None: not said) of an image."""

    label: str
    split: Split | None


class Tree(NamedTuple):
    """The place of the folders of the classes.

    Attributes:
        wrapper: path of the folders around everything; empty without one.
        splits: folder in there -> its split, and how deep in it the folders of the classes are: 1, or more
            where folders are doubled; None: the folders in there are the classes.
    """

    wrapper: str
    splits: Mapping[str, tuple[Split, int]] | None

    def place(self, path: str) -> Place | None:
        """Find the place of a file; None: it is in no folder of a class."""
        top, *inner = self.within(path) or ("",)
        if self.splits is None:
            return Place(top, None) if inner else None
        split, depth = self.splits.get(top, (None, 0))
        return Place(inner[depth - 1], split) if split and len(inner) > depth else None

    def leaves_out(self, path: str) -> bool:
        """Tell that a path is in a folder beside those of the splits."""
        inner = self.within(path)
        return self.splits is not None and len(inner) > 1 and inner[0] not in self.splits

    def within(self, path: str) -> Parts:
        """The parts of a path within the wrapper; none of one that is outside."""
        parts, wrapper = PurePosixPath(path).parts, PurePosixPath(self.wrapper).parts
        return parts[len(wrapper) :] if parts[: len(wrapper)] == wrapper else ()


def find_tree(images: Collection[str], others: Iterable[str] = (), layout: Layout = "auto") -> Tree:
    """Find the folders of the classes.

    A folder around everything is looked through. The folders in it are splits if all of them are called so
    (train and test, Training and Validation, x_train and x_test, ...), each another one. The folders in
    these, or in one of the same name in each (train/train), are the classes then. Else the folders are the
    classes, and deeper folders belong to the class.

    Args:
        images: their paths, with ``/``.
        others: paths of images that cannot be read, whose folders are classes or splits all the same.
        layout: ``classes`` or ``splits`` where the names leave it open; ``auto``: by the names.

    Raises:
        ValueError: if the names leave it open, or an image is in no folder of a class.

    >>> find_tree(["roses/red/1.jpg", "tulips/2.jpg"])
    Tree(wrapper='', splits=None)
    >>> find_tree(["a/seg_train/seg_train/cat/1.jpg", "a/seg_test/seg_test/cat/2.jpg"]).splits
    {'seg_test': ('test', 2), 'seg_train': ('train', 2)}
    """
    parts, unread = ([PurePosixPath(name).parts for name in names] for names in (images, others))
    wrapper = _find_wrapper(parts, unread)
    tops = _by_top([p[len(wrapper) :] for p in (*parts, *unread) if p[: len(wrapper)] == wrapper])
    named = {top: found for top in tops if (found := read_split(top))}
    if layout == "splits" and not named:
        raise ValueError(
            "has no folders of splits: folder.layout=splits expects some called train, validation or test, "
            f"received {_join(tops)}; rename them, or set folder.layout to classes"
        )
    are_splits = layout == "splits" or (layout == "auto" and _are_splits(tops, named))
    if layout == "auto" and not are_splits and _may_be_splits(tops, named):
        raise ValueError(_two_readings(tops, named))
    depths = {top: (split, _depth(top, tops[top])) for top, (split, _) in named.items()}
    tree = Tree("/".join(wrapper), depths if are_splits else None)
    _check_loose(tree, images)
    return tree


def read_split(name: str) -> tuple[Split, str] | None:
    """Read the split in a folder's name, and what else is in it; None: it names none, or several.

    >>> [read_split(name) for name in ("Training", "x_train", "testSet", "latest", "train_val")]
    [('train', ''), ('train', 'x'), ('test', 'set'), None, None]
    """
    found = [token for token in _TOKEN.finditer(name) if _WORD.fullmatch(token[0])]
    if len(found) != 1:
        return None
    (token,) = found
    word = _WORD.fullmatch(token[0])
    assert word
    rest = f"{name[: token.start()]}{word[2] or ''}{name[token.end() :]}"
    return WORDS[word[1].lower()], re.sub(r"[\W_]", "", rest).casefold()


def _find_wrapper(images: Sequence[Parts], others: Sequence[Parts]) -> Parts:
    tops = {p[0] for p in (*images, *others) if len(p) > 1}
    if len(tops) != 1 or any(len(p) < 3 for p in images):
        return ()
    (top,) = tops
    inner, unread = [p[1:] for p in images], [p[1:] for p in others if len(p) > 1]
    below = _find_wrapper(inner, unread)
    named = read_split(top)
    splits = {found[0] for p in inner if (found := read_split(p[len(below)]))}
    is_split = named is not None and not named[1] and len(splits) < 2
    return () if is_split else (top, *below)


def _by_top(parts: Iterable[Parts]) -> dict[str, list[Parts]]:
    tops: dict[str, list[Parts]] = {}
    for p in sorted(parts):
        if len(p) > 1:
            tops.setdefault(p[0], []).append(p[1:])
    return tops


def _are_splits(tops: Tops, named: Mapping[str, tuple[Split, str]]) -> bool:
    splits, rests = [split for split, _ in named.values()], {rest for _, rest in named.values()}
    distinct = len(named) == len(tops) == len(set(splits)) and len(rests) == 1
    return distinct and (len(tops) > 1 or rests == {""})


def _may_be_splits(tops: Tops, named: Mapping[str, tuple[Split, str]]) -> bool:
    """Tell that some folders may be splits: by their names, or because others have the same in them."""
    inside = {top: _list_folders(top, tops[top]) for top in tops}
    for top, (split, rest) in named.items():
        others = [other for other in tops if other != top]
        beside = [named[other] for other in others if other in named]
        if any(each[0] != split and each[1] == rest for each in beside):
            return True
        alike = [other for other in others if inside[top] & inside[other]]
        if any(other in named and named[other][0] != split for other in alike) or (alike and not rest):
            return True
        if not rest and len(inside[top]) > 1 and not any(inside[other] for other in others):
            return True
    return False


def _list_folders(top: str, below: Sequence[Parts]) -> set[str]:
    depth = _depth(top, below)
    return {p[depth - 1] for p in below if len(p) > depth}


def _depth(top: str, below: Sequence[Parts]) -> int:
    """Count how deep in a split's folder the classes are: below those of its name, if all is in these."""
    depth = 1
    while all(len(p) > depth and _is_same(p[depth - 1], top) for p in below):
        depth += 1
    return depth


def _is_same(name: str, top: str) -> bool:
    return name.casefold() == top.casefold() or read_split(name) == read_split(top) is not None


def _two_readings(tops: Tops, named: Collection[str]) -> str:
    others = [f"{top} ({len(tops[top])} images)" for top in tops if top not in named]
    left_out = f", without {_join(others)}" if others else ""
    return (
        f"can be read in two ways: the folders {_join(tops)} are splits ({_join(named)}{left_out}), or they "
        "are classes; choose with -S folder.layout=splits or -S folder.layout=classes, or rename them"
    )


def _check_loose(tree: Tree, images: Iterable[str]) -> None:
    loose = sorted(name for name in images if not tree.place(name) and not tree.leaves_out(name))
    if loose:
        expected = "<class>/<image>" if tree.splits is None else "<split>/<class>/<image>"
        instead = "" if tree.splits is None else ", or set folder.layout to classes"
        raise ValueError(
            f"has images without a class folder: expected {expected}, received {loose[0]!r} "
            f"({len(loose)} in all); move each into the folder of its class{instead}"
        )


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
