"""The account of `prepare`: what became of every image and class, and what stops it."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from graft.config.data import Prepare
from graft.data.raw import Ignored

LISTED = 5  # how many offenders an error lists


class Row(NamedTuple):
    """An accepted image.

    Attributes:
        key, path, label, split: as in the manifest.
        height, width: pixels, upright.
        n_bits: that the values of an image of 16 bits take; None of another one.
    """

    key: str
    path: str
    label: str
    split: str | None
    height: int
    width: int
    n_bits: int | None


def report(
    groups: Mapping[str, Sequence[Row]],
    rejects: Sequence[tuple[str, str]],
    labels: Mapping[str, int],
    ignored: Ignored,
) -> dict[str, Any]:
    """Make the content of `metrics/data.json`.

    Args:
        groups: key -> the accepted images, the one that is kept first.
        rejects: path and reason.
        labels: class -> its images that were read.
        ignored: the part of the source that was not.
    """
    n_read = sum(map(len, groups.values())) + len(rejects)
    dropped = [(group[0], other) for group in groups.values() for other in group[1:]]
    classes = Counter(group[0].label for group in groups.values())
    rejected = {label: f"all {n} rejected" for label, n in labels.items() if n and label not in classes}
    deep = Counter(group[0].n_bits for group in groups.values() if group[0].n_bits is not None)
    return {
        "n_read": n_read,
        "n_images": len(groups),
        "classes": dict(sorted(classes.items())),
        "empty_classes": dict(sorted({**ignored.classes, **rejected}.items())),
        "similar_classes": find_similar(classes),
        "ignored_files": dict(ignored.files),
        "ignored_folders": dict(ignored.folders),
        "sixteen_bit_images": {str(n_bits): n for n_bits, n in sorted(deep.items())},
        "duplicates": len(dropped),
        "duplicates_across_splits": sum(one.split != other.split for one, other in dropped),
        "duplicate_paths": [{"dropped": other.path, "kept": one.path} for one, other in dropped],
        "n_rejected": len(rejects),
        "rejected_share": len(rejects) / max(n_read, 1),
        "rejects": [{"path": path, "reason": reason} for path, reason in sorted(rejects)],
    }


def find_similar(labels: Iterable[str]) -> list[list[str]]:
    """List the classes that differ in case, blanks or Unicode's ways to write a character alone.

    >>> find_similar(["cat", "Cat ", "dog"])
    [['Cat ', 'cat']]
    """
    alike = defaultdict(list)
    for label in sorted(labels):
        plain = unicodedata.normalize("NFKC", label).casefold()
        alike["".join(unicodedata.normalize("NFKC", plain).split())].append(label)
    return [group for group in alike.values() if len(group) > 1]


def check(
    groups: Mapping[str, Sequence[Row]],
    rejects: Sequence[tuple[str, str]],
    found: Mapping[str, Any],
    limits: Prepare,
) -> None:
    """Stop where too much was rejected, labels conflict or classes are missing.

    Args:
        groups: key -> the accepted images.
        rejects: path and reason of those that were not to be expected.
        found: what `report` made.
        limits: what is accepted.

    Raises:
        ValueError: naming what is wrong.
    """
    _check_rejects(rejects, found["n_read"], limits.max_rejected)
    _check_labels(groups)
    if limits.empty_classes == "refuse":
        _check_empty(found["empty_classes"])
    _check_classes(list(found["classes"]), found["n_rejected"])


def warn(found: Mapping[str, Any], n_known: int, bit_depth: int) -> None:
    """Print what may not be as it was meant; `n_known` is how many known faults were rejected."""
    if n_known:
        print(f"prepare: known faults of the dataset, rejected: {n_known} (metrics/data.json names them)")
    if found["empty_classes"]:
        print(f"WARNING: classes without an image, dropped: {_list_empty(found['empty_classes'])}")
    for alike in found["similar_classes"]:
        print(f"WARNING: classes that look alike: {', '.join(map(ascii, alike))}; merge them if they are one")
    if found["sixteen_bit_images"]:
        print(describe_bits(found["sixteen_bit_images"], bit_depth))


def describe_bits(counts: Mapping[str, int], bit_depth: int) -> str:
    """Say how much of their range 16-bit images use.

    Args:
        counts: bits that the highest value takes -> images.
        bit_depth: as `prepare.bit_depth` was.

    >>> describe_bits({"11": 2, "16": 7}, 16)
    'images of 16 bits, by their highest values: 2 of 11 bits, 7 of 16 bits'
    """
    most = max(map(int, counts))
    used = ", ".join(f"{n:,} of {n_bits} bits" for n_bits, n in counts.items())
    text = f"images of 16 bits, by their highest values: {used}"
    if most >= bit_depth:
        return text
    dark = f"with prepare.bit_depth={bit_depth} they are dark, {256 >> (bit_depth - most)} of 256 levels"
    return f"WARNING: {text}; {dark}: set it to {max(most, 8)}"


def check_paths(paths: Sequence[str]) -> None:
    """Raise a ValueError if a path repeats or is no valid Unicode."""
    for path, n in sorted(Counter(paths).items()):
        if n > 1:
            raise ValueError(f"{path=} occurs {n} times in the dataset; paths must be unique: rename one")
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError(f"path={path!r} is not valid UTF-8; rename the file or its folder") from None


def group(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Group the rows by key, the groups and the rows of each sorted by split, if it is given, and path."""
    groups = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.split or "", row.path)):
        groups[row.key].append(row)
    return groups


def reject_conflicts(groups: dict[str, list[Row]]) -> list[tuple[str, str]]:
    """Remove the images under several labels; return their paths with the reason."""
    return [
        (row.path, f"the same image is labelled {' and '.join(map(repr, labels))}")
        for key, labels in _conflicts(groups).items()
        for row in groups.pop(key)
    ]


def _conflicts(groups: Mapping[str, Sequence[Row]]) -> dict[str, list[str]]:
    """Select the keys of images under several labels -> these labels, sorted."""
    labels = {key: sorted({row.label for row in group}) for key, group in groups.items()}
    return {key: names for key, names in labels.items() if len(names) > 1}


def _check_rejects(rejects: Sequence[tuple[str, str]], n_read: int, max_rejected: float) -> None:
    if not n_read:
        raise ValueError(
            "the dataset holds no image: expected per class a folder of jpg, jpeg, png, gif, bmp or webp "
            "files, received none; correct `dataset` or `source` in params.yaml"
        )
    if len(rejects) / n_read > max_rejected:
        lines = [f"  {path}: {reason}" for path, reason in sorted(rejects)]
        raise ValueError(
            f"{len(rejects)} of {n_read} images rejected ({len(rejects) / n_read:.2%}), expected at most "
            f"prepare.max_rejected={max_rejected}; repair or remove them, or raise prepare.max_rejected "
            f"in params.yaml:\n{_first(lines)}"
        )


def _check_labels(groups: Mapping[str, Sequence[Row]]) -> None:
    lines = []
    for key in _conflicts(groups):
        paths = ", ".join(f"{row.path!r} (label={row.label!r})" for row in groups[key])
        lines.append(f"  {paths}; key={key}")
    if lines:
        raise ValueError(
            f"expected one label per image, received several for {len(lines)} of {len(groups)}; "
            "remove each from the wrong class, relabel or drop it by its key in edits.csv, or reject all "
            "copies with "
            f"`dvc exp run -S prepare.label_conflicts=reject`:\n{_first(lines)}"
        )


def _check_empty(empty: Mapping[str, str]) -> None:
    if empty:
        raise ValueError(
            f"expected an image of every class, received none of {len(empty)}: {_list_empty(empty)}; give "
            "each some (jpg, jpeg, png, gif, bmp or webp), remove its folder, or leave these classes out "
            "with -S prepare.empty_classes=drop"
        )


def _list_empty(empty: Mapping[str, str]) -> str:
    more = f" and {len(empty) - LISTED} more" if len(empty) > LISTED else ""
    return ", ".join(f"{label!r} ({why})" for label, why in [*empty.items()][:LISTED]) + more


def _check_classes(classes: Sequence[str], n_rejected: int) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"expected images of at least 2 classes, received {classes=} ({n_rejected} images rejected); "
            "give every class a folder of its own"
        )


def _first(lines: Sequence[str]) -> str:
    more = [f"  ... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])
