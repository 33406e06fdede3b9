"""CIFAR-10: 60,000 colour photos in ten classes, 32 x 32, with an official test set."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from graft.data.archives import read_members
from graft.data.datasets._arrays import raw_images
from graft.data.download import Source, download
from graft.data.raw import RawImage

SOURCE = Source(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",  # the pickled one could run code
    checksum="md5:c32a1d4ab5d03f1284b67883e8d87530",
    size=170_052_171,
    licence="none stated; its author asks to cite the report",
    citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images. University of Toronto, 2009",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-bin"
BATCHES = {
    **{f"{FOLDER}/data_batch_{number}.bin": "train" for number in range(1, 6)},
    f"{FOLDER}/test_batch.bin": "test",
}
SIZE = 32
RECORD = 1 + 3 * SIZE * SIZE  # a label, then the red, the green and the blue plane, row by row


def fetch(raw: Path, source: Path, cache: Path, archive: Source = SOURCE) -> None:  # noqa: ARG001
    """Download the archive to ``raw``."""
    download(archive, raw, cache)


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the photos of the archive in ``raw``: ``train/data_batch_1/00000.bmp``, ...

    Raises:
        ValueError: if the archive is damaged or lacks a batch, a batch is no whole number of records, or a
            label is above 9.
    """
    (archive,) = raw.iterdir()
    missing = set(BATCHES)
    for name, data in read_members(archive, BATCHES.__contains__):
        if len(data) % RECORD or not data:
            raise ValueError(
                f"{archive}: member {name!r}: expected a whole number of records of {RECORD} bytes, received "
                f"{len(data)} bytes; fetch it again with `dvc repro --force download`"
            )
        records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
        pixels = records[:, 1:].reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1)
        folder = f"{BATCHES[name]}/{Path(name).stem}"
        yield from raw_images(pixels, records[:, 0], CLASSES, BATCHES[name], folder, f"{archive}: {name}")
        missing.remove(name)
    if missing:
        raise ValueError(
            f"{archive}: expected {len(BATCHES)} batches, received none named {', '.join(sorted(missing))}; "
            "fetch it again with `dvc repro --force download`"
        )
