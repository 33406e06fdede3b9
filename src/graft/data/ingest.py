"""Raw images -> `data/images`: every image in it decodes, is there once and has one label.

The only code that trusts nothing about the images.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import pyarrow as pa

from graft.config.data import Prepare
from graft.data import audit
from graft.data.audit import Row
from graft.data.checking import FEW, Batch, Checked, check, gather
from graft.data.edits import Edit, apply_edits
from graft.data.images import ImageError
from graft.data.raw import Ignored, RawImage
from graft.data.sharding import count_shards, shard_name, write_groups
from graft.data.workers import PLENTY, count_processes, open_workers

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("key", "path", "label", "split")]
    + [("image", pa.binary()), ("height", pa.int32()), ("width", pa.int32())]
)
ROW_GROUP = 64
NO_FAULTS: Mapping[str, str] = MappingProxyType({})
NOTHING = Ignored()
NO_EDITS: Mapping[str, Edit] = MappingProxyType({})

Read = Callable[[str], bytes]


def prepare(
    images: Iterable[RawImage],
    limits: Prepare,
    folder: Path,
    known_faults: Mapping[str, str] = NO_FAULTS,
    ignored: Ignored = NOTHING,
    edits: Mapping[str, Edit] = NO_EDITS,
) -> dict[str, Any]:
    """Decode every image and write those that do to Parquet shards in `folder`, replaced once all is well.

    An image that does not decode is rejected. Of exact duplicates the one with the smallest path
    is kept; where the splits are given, first of test, then of train, so an image in test and in train
    leaves train. Of a ``limits.bit_depth`` below 16, images of 16 bits become those of 8 bits that they mean.
    The order of the images does not change a byte. They are streamed: memory holds a few.

    Args:
        images: in any order.
        limits: what is rejected, and how much of it is too much.
        folder: of the shards.
        known_faults: path of an image -> why it is rejected. These do not count towards the limit.
        ignored: the part of the source that is not in `images`.
        edits: key -> what a person decided on that image. What is dropped does not count towards the limit.

    Returns:
        The content of `metrics/data.json`, keys sorted: counts, duplicates, rejects and the reasons.

    Raises:
        ValueError: if there is no image, a path repeats or is not Unicode, too many images are
            rejected, an image stands under two labels (to ``refuse``), no image of a class is left (to
            ``refuse``), or fewer than two classes remain.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "images").mkdir(parents=True)
    try:
        with (partial / "spool").open("w+b") as spool:
            labels = Counter[str]()
            rows, rejects, read = _sift(_count_labels(images, labels), limits, known_faults, spool)
            audit.check_paths([row.path for row in rows] + [path for path, _ in rejects])
            rows, dropped, counts = apply_edits(rows, edits, labels)
            groups = audit.group(rows)
            if limits.label_conflicts == "reject":
                rejects += audit.reject_conflicts(groups)
            unexpected = [reject for reject in rejects if reject[0] not in known_faults]
            report = audit.report(groups, [*rejects, *dropped], labels, ignored)
            audit.check(groups, unexpected, report, limits)
            kept = [groups[key][0] for key in sorted(groups)]
            report |= _write_shards(kept, read, partial / "images")
        audit.warn(report, len(rejects) - len(unexpected), limits.bit_depth)
        report |= {"edits": counts} if any(counts.values()) else {}
        shutil.rmtree(folder, ignore_errors=True)
        (partial / "images").rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return dict(sorted(report.items()))


def _count_labels(images: Iterable[RawImage], labels: Counter[str]) -> Iterator[RawImage]:
    for image in images:
        labels[image.label] += 1
        yield image


def _sift(
    images: Iterable[RawImage], limits: Prepare, known_faults: Mapping[str, str], spool: BinaryIO
) -> tuple[list[Row], list[tuple[str, str]], Read]:
    """Return the accepted rows, the rejected paths with reasons, and a reader of accepted images by key."""
    rows: list[Row] = []
    rejects: list[tuple[str, str]] = []
    places: dict[str, tuple[int, int]] = {}
    for image, (found, data) in _check(images, limits):
        if isinstance(found, ImageError) or image.path in known_faults:
            rejects.append((image.path, known_faults.get(image.path, str(found))))
            continue
        if found.key not in places:
            places[found.key] = (spool.tell(), spool.write(data or image.data))
        rows.append(found)

    def read(key: str) -> bytes:
        offset, size = places[key]
        spool.seek(offset)
        return spool.read(size)

    return rows, rejects, read


def _check(images: Iterable[RawImage], limits: Prepare) -> Iterator[tuple[RawImage, Checked]]:
    """Yield each image with what is found of it: by threads, and if many come, by processes."""
    batches = gather(images, limits.max_pixels, limits.bit_depth)
    for n_processes, some in ((0, islice(batches, PLENTY // FEW)), (count_processes(PLENTY), batches)):
        for first in islice(some, 1):
            with open_workers(n_processes) as workers:
                for batch, _, checked in workers.map(check, chain([first], some), Batch.count_bytes):
                    yield from zip(batch.images, checked, strict=True)


def _write_shards(rows: Sequence[Row], read: Read, folder: Path) -> dict[str, int]:
    """Write the rows, sorted by key; count the shards and the bytes of the images."""
    n_shards, n_bytes = count_shards(len(rows)), 0

    def make_groups(shard: Iterator[Row]) -> Iterator[pa.Table]:
        nonlocal n_bytes
        while group := [{**row._asdict(), "image": read(row.key)} for row in islice(shard, ROW_GROUP)]:
            n_bytes += sum(len(row["image"]) for row in group)
            yield pa.Table.from_pylist(group, SCHEMA)

    for name, shard in groupby(rows, lambda row: shard_name(row.key, n_shards)):
        write_groups(make_groups(shard), SCHEMA, folder / f"{name}.parquet")
    return {"n_shards": n_shards, "bytes": n_bytes}
