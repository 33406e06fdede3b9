"""Files in the formats of Fashion-MNIST and CIFAR-10, of any images: small ones take their place in tests."""

import gzip
import struct
from pathlib import Path

import numpy as np

from graft.data.datasets import cifar10
from helpers.archives import make_tar

Part = tuple[np.ndarray, np.ndarray]  # images and class numbers


def idx(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes: http://yann.lecun.com/exdb/mnist/ describes it."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype("u1").tobytes()


def write_fashion_mnist(raw: Path, train: Part, test: Part) -> Path:
    """The four files, of images (n, 28, 28)."""
    raw.mkdir(parents=True, exist_ok=True)
    for name, (images, numbers) in (("train", train), ("t10k", test)):
        (raw / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images), mtime=0))
        (raw / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(numbers), mtime=0))
    return raw


def batch(images: np.ndarray, numbers: np.ndarray) -> bytes:
    """A batch of CIFAR-10, of images (n, 32, 32, 3)."""
    planes = [[image[..., c].tobytes() for c in range(3)] for image in images]
    return b"".join(bytes([n]) + b"".join(rgb) for n, rgb in zip(numbers.tolist(), planes, strict=True))


def write_cifar10(raw: Path, train: Part, test: Part) -> Path:
    """The archive; the images of train, at least five, are spread over its five batches."""
    raw.mkdir(parents=True, exist_ok=True)
    parts = zip(np.array_split(train[0], 5), np.array_split(train[1], 5), strict=True)
    files = {f"{cifar10.FOLDER}/data_batch_{i}.bin": batch(*part) for i, part in enumerate(parts, 1)}
    files |= {f"{cifar10.FOLDER}/test_batch.bin": batch(*test), f"{cifar10.FOLDER}/readme.html": b"<html>"}
    make_tar(raw / "cifar-10-binary.tar.gz", files, "w:gz")
    return raw


def random_part(n: int, shape: tuple[int, ...], seed: int) -> Part:
    """So many random images of a shape, with random class numbers."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, *shape), np.uint8), rng.integers(0, 10, n, np.uint8)
