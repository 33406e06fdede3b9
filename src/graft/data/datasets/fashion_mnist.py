"""Fashion-MNIST: 70,000 gray images of clothes in ten classes, 28 x 28, with an official test set.

This is the release without the byte-identical images that its first days had within and across train
and test: https://github.com/zalandoresearch/fashion-mnist/issues/44
"""

import gzip
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graft.data.datasets._arrays import raw_images
from graft.data.download import Source, download
from graft.data.members import readable
from graft.data.raw import RawImage

MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# Name, md5 as https://github.com/zalandoresearch/fashion-mnist publishes it, and size.
FILES = (
    ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
    ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
    ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
    ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
)
SOURCE = tuple(
    Source(
        url=MIRROR + name,
        checksum=f"md5:{md5}",
        size=size,
        licence="MIT, Copyright 2017 Zalando SE",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
        "Learning Algorithms. arXiv 1708.07747",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
    )
    for name, md5, size in FILES
)
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SPLITS = {"train": "train", "test": "t10k"}
SIZE = 28


def fetch(raw: Path, source: Path, cache: Path, archives: Sequence[Source] = SOURCE) -> None:  # noqa: ARG001
    """Download the four files to ``raw``."""
    for archive in archives:
        download(archive, raw, cache / "fashion_mnist")  # the files of MNIST have the same names


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the images of the files in ``raw``, gray: ``train/00000.bmp``, ... and ``test/00000.bmp``, ...

    They are numbered as in the files, and so as in ``keras.datasets.fashion_mnist``.

    Raises:
        ValueError: if a file is damaged or of another format, the labels do not fit the images, or one is
            above 9.
    """
    for split, name in SPLITS.items():
        images, labels = raw / f"{name}-images-idx3-ubyte.gz", raw / f"{name}-labels-idx1-ubyte.gz"
        pixels, numbers = _read_idx(images, SIZE, SIZE), _read_idx(labels)
        if len(pixels) != len(numbers):
            raise ValueError(
                f"{labels}: expected a label for each of the {len(pixels)} images of {images.name}, received "
                f"{len(numbers)}; fetch them again with `dvc repro --force download`"
            )
        yield from raw_images(pixels, numbers, CLASSES, split, split, labels)


def _read_idx(path: Path, *item: int) -> NDArray[np.uint8]:
    """Read the array (n, *item) of a gzipped idx file of unsigned bytes."""
    with readable(path), gzip.open(path) as file:
        data = file.read()
    magic, header = bytes([0, 0, 8, 1 + len(item)]), 8 + 4 * len(item)
    shape = tuple(int.from_bytes(data[start : start + 4], "big") for start in range(4, header, 4))
    if data[:4] != magic or shape[1:] != item or len(data) != header + prod(shape):
        expected = " x ".join(("n", *map(str, item)))
        raise ValueError(
            f"{path}: expected an idx file of {expected} bytes (magic={magic.hex()}), received "
            f"magic={data[:4].hex()}, shape={shape} and {len(data)} bytes in all; "
            "fetch it again with `dvc repro --force download`"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
