"""Images that their source gives as plain pixels: each becomes a PNG file."""

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from graft.data.raw import RawImage

STORED = 0xFFFF  # bytes that a stored block of deflate can hold (RFC 1951)


def raw_images(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: Sequence[str],
    split: str,
    folder: str,
    origin: object,
) -> Iterator[RawImage]:
    """Yield the images of an array as PNG files ``<folder>/00000.png``, ...

    Args:
        pixels: (n, H, W) gray or (n, H, W, 3) RGB.
        labels: (n,) class numbers.
        classes: the name of each class number.
        split: of all of them.
        folder: of their paths.
        origin: the file that they come from, for the error.

    Raises:
        ValueError: if a label is no class number.
    """
    if (labels >= len(classes)).any():
        place = int(np.argmax(labels >= len(classes)))
        raise ValueError(
            f"{origin}: expected labels from 0 to {len(classes) - 1}, received label={labels[place]} of "
            f"image {place}; the file is damaged: fetch it anew with `dvc repro --force download`"
        )
    for place, (image, number) in enumerate(zip(pixels, labels, strict=True)):
        yield RawImage(f"{folder}/{place:05d}.png", classes[number], split, encode_png(image))


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Write a PNG file without compression, so that its bytes are a function of the pixels alone.

    An image's key is the sha256 of these bytes. What a compressor writes differs between zlib,
    zlib-ng and their versions. The Parquet shards compress the files anyway.

    Args:
        pixels: (H, W) gray or (H, W, 3) RGB.
    """
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (1, 0))).tobytes()  # each begins with filter 0
    blocks = [rows[start : start + STORED] for start in range(0, len(rows), STORED)]
    stored = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block for block in blocks
    )
    colour = 2 if pixels.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
