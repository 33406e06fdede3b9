"""Images that their source gives as plain pixels: each becomes a BMP file."""

from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from graft.data.raw import RawImage


def raw_images(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: Sequence[str],
    split: str,
    folder: str,
    origin: object,
) -> Iterator[RawImage]:
    """Yield the images of an array as BMP files ``<folder>/00000.bmp``, ...

    Args:
        pixels: (n, H, W) gray or (n, H, W, 3) RGB.
        labels: (n,) class numbers.
        classes: the name of each class number.
        split: of all the images.
        folder: of their paths.
        origin: the file that the pixels come from, for the error.

    Raises:
        ValueError: if a label is no class number.
    """
    if (labels >= len(classes)).any():
        place = int(np.argmax(labels >= len(classes)))
        raise ValueError(
            f"{origin}: expected labels from 0 to {len(classes) - 1}, received label={labels[place]} of "
            f"image {place}; the file is damaged: fetch it again with `dvc repro --force download`"
        )
    for place, (image, number) in enumerate(zip(pixels, labels, strict=True)):
        yield RawImage(f"{folder}/{place:05d}.bmp", classes[number], split, encode_bmp(image))


def encode_bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Write an uncompressed BMP file: its bytes are a function of the pixels alone.

    An image's key is the sha256 of these bytes. The bytes that a compressor writes differ between zlib,
    zlib-ng and their versions. The Parquet shards compress the files anyway.

    Args:
        pixels: (H, W) gray or (H, W, 3) RGB.

    >>> encode_bmp(np.array([[[1, 2, 3]]], np.uint8))[54:].hex()  # after the header: BGR, padding
    '03020100'
    """
    file = BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()
