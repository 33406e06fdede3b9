"""Raw images -> `data/images`: every image in it decodes, is there once and has one label.

The only code that trusts nothing about the images.
"""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from graft.config.data import Prepare
from graft.data.images import ImageError, measure
from graft.data.raw import RawImage
from graft.data.sharding import count_shards, shard_name, write_table
from graft.utils.ahead import map_ahead
from graft.utils.progress import track

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("key", "path", "label", "split")]
    + [("image", pa.binary()), ("height", pa.int32()), ("width", pa.int32())]
)
ROW_GROUP = 64
NO_FAULTS: Mapping[str, str] = MappingProxyType({})
LISTED = 5  # how many offenders an error lists


class Row(NamedTuple):
    """An accepted image; height and width in pixels, upright."""

    key: str
    path: str
    label: str
    split: str | None
    height: int
    width: int


Read = Callable[[str], bytes]


def prepare(
    images: Iterable[RawImage],
    limits: Prepare,
    folder: Path,
    known_faults: Mapping[str, str] = NO_FAULTS,
    total: int | None = None,
) -> dict[str, Any]:
    """Decode every image and write those that do to Parquet shards in `folder`, replaced once all is well.

    An image that does not decode is rejected. Of exact duplicates the one with the smallest path
    is kept; where the splits are given, ``test/...`` < ``train/...`` < ``validation/...``, so an
    image in test and in train leaves train. The order of the images does not change a byte. They are
    streamed: memory holds a few images and one shard.

    Args:
        images: in any order.
        limits: what is rejected, and how much of it is too much.
        folder: of the shards.
        known_faults: path of an image -> why it is rejected. These do not count towards the limit.
        total: number of images, to be shown.

    Returns:
        The content of `metrics/data.json`, keys sorted: counts, duplicates, rejects and the reasons.

    Raises:
        ValueError: if there is no image, a path repeats or is not Unicode, too many images are
            rejected, an image stands under two labels (to ``refuse``), or fewer than two classes remain.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "images").mkdir(parents=True)
    try:
        with (partial / "spool").open("w+b") as spool:
            tracked = track(images, "prepare", total)
            rows, rejects, read = _sift(tracked, limits.max_pixels, known_faults, spool)
            _check_paths([row.path for row in rows] + [path for path, _ in rejects])
            groups = _group(rows)
            if limits.label_conflicts == "reject":
                rejects += _reject_conflicts(groups)
            report = _report(groups, rejects)
            unexpected = [reject for reject in rejects if reject[0] not in known_faults]
            _check_rejects(unexpected, report["n_read"], limits.max_rejected)
            _check_labels(groups)
            _check_classes(list(report["classes"]), len(rejects))
            kept = [groups[key][0] for key in sorted(groups)]
            report |= _write_shards(kept, read, partial / "images")
        if n_known := len(rejects) - len(unexpected):
            print(f"prepare: known faults of the dataset, rejected: {n_known} (metrics/data.json names them)")
        shutil.rmtree(folder, ignore_errors=True)
        (partial / "images").rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return dict(sorted(report.items()))


def _report(groups: Mapping[str, Sequence[Row]], rejects: Sequence[tuple[str, str]]) -> dict[str, Any]:
    n_read = sum(map(len, groups.values())) + len(rejects)
    dropped = [(group[0], other) for group in groups.values() for other in group[1:]]
    return {
        "n_read": n_read,
        "n_images": len(groups),
        "classes": dict(sorted(Counter(group[0].label for group in groups.values()).items())),
        "duplicates": len(dropped),
        "duplicates_across_splits": sum(one.split != other.split for one, other in dropped),
        "duplicate_paths": [{"dropped": other.path, "kept": one.path} for one, other in dropped],
        "n_rejected": len(rejects),
        "rejected_share": len(rejects) / max(n_read, 1),
        "rejects": [{"path": path, "reason": reason} for path, reason in sorted(rejects)],
    }


def _sift(
    images: Iterable[RawImage], max_pixels: int, known_faults: Mapping[str, str], spool: BinaryIO
) -> tuple[list[Row], list[tuple[str, str]], Read]:
    """Return the accepted rows, the rejected paths with reasons, and a reader of accepted images by key."""
    rows: list[Row] = []
    rejects: list[tuple[str, str]] = []
    places: dict[str, tuple[int, int]] = {}
    check = partial(_check, max_pixels=max_pixels)
    for image, found in map_ahead(check, images, 4 * (os.cpu_count() or 1), lambda image: len(image.data)):
        if isinstance(found, ImageError) or image.path in known_faults:
            rejects.append((image.path, known_faults.get(image.path, str(found))))
            continue
        if found.key not in places:
            places[found.key] = (spool.tell(), spool.write(image.data))
        rows.append(found)

    def read(key: str) -> bytes:
        offset, size = places[key]
        spool.seek(offset)
        return spool.read(size)

    return rows, rejects, read


def _check(image: RawImage, max_pixels: int) -> tuple[RawImage, Row | ImageError]:
    try:
        height, width = measure(image.data, max_pixels)
    except ImageError as error:
        return image, error
    except MemoryError:
        raise MemoryError(f"{image.path}: no memory left to decode it; lower prepare.max_pixels") from None
    return image, Row(sha256(image.data).hexdigest(), image.path, image.label, image.split, height, width)


def _check_paths(paths: Sequence[str]) -> None:
    for path, n in sorted(Counter(paths).items()):
        if n > 1:
            raise ValueError(f"{path=} occurs {n} times in the dataset; paths must be unique: rename one")
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError(f"path={path!r} is not valid UTF-8; rename the file or its folder") from None


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


def _group(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Group the rows by key, the groups and the rows of each sorted by path."""
    groups = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.path):
        groups[row.key].append(row)
    return groups


def _conflicts(groups: Mapping[str, Sequence[Row]]) -> dict[str, list[str]]:
    """Select the keys of images under several labels -> these labels, sorted."""
    labels = {key: sorted({row.label for row in group}) for key, group in groups.items()}
    return {key: names for key, names in labels.items() if len(names) > 1}


def _reject_conflicts(groups: dict[str, list[Row]]) -> list[tuple[str, str]]:
    """Remove the images under several labels; return their paths with the reason."""
    return [
        (row.path, f"the same image is labelled {' and '.join(map(repr, labels))}")
        for key, labels in _conflicts(groups).items()
        for row in groups.pop(key)
    ]


def _check_labels(groups: Mapping[str, Sequence[Row]]) -> None:
    lines = []
    for key in _conflicts(groups):
        lines.append("  " + ", ".join(f"{row.path!r} (label={row.label!r})" for row in groups[key]))
    if lines:
        raise ValueError(
            f"expected one label per image, received several for {len(lines)} of {len(groups)}; "
            "remove each from the wrong class, or reject all their copies with "
            f"`dvc exp run -S prepare.label_conflicts=reject`:\n{_first(lines)}"
        )


def _check_classes(classes: Sequence[str], n_rejected: int) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"expected images of at least 2 classes, received {classes=} ({n_rejected} images rejected); "
            "give every class a folder of its own"
        )


def _first(lines: Sequence[str]) -> str:
    more = [f"  ... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])


def _write_shards(rows: Sequence[Row], read: Read, folder: Path) -> dict[str, int]:
    """Write the rows, sorted by key, one shard at a time; count the shards and the bytes of the images."""
    n_shards, n_bytes = count_shards(len(rows)), 0
    for name, shard in groupby(rows, lambda row: shard_name(row.key, n_shards)):
        table = [{**row._asdict(), "image": read(row.key)} for row in shard]
        n_bytes += sum(len(row["image"]) for row in table)
        write_table(pa.Table.from_pylist(table, SCHEMA), folder / f"{name}.parquet", ROW_GROUP)
    return {"n_shards": n_shards, "bytes": n_bytes}
