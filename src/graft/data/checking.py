"""Raw images, none of them trusted -> of each its key and size, or why it does not decode."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from graft.data.audit import Row
from graft.data.datasets._arrays import encode_bmp
from graft.data.images import ImageError, decode, measure
from graft.data.raw import RawImage
from graft.data.sixteen_bits import MAX_BITS, count_bits

FEW, FEW_BYTES = 8, 2**20  # images that are checked at once


class Batch(NamedTuple):
    """Some images to be checked, and ``max_pixels`` and ``bit_depth`` as `decode` takes them."""

    images: list[RawImage]
    max_pixels: int
    bit_depth: int

    def count_bytes(self) -> int:
        """Count the bytes of the files."""
        return sum(len(image.data) for image in self.images)


class Checked(NamedTuple):
    """The row of an image, or its fault; and its bytes, where they are not to be those that it came with."""

    found: Row | ImageError
    data: bytes | None


def gather(images: Iterable[RawImage], max_pixels: int, bit_depth: int) -> Iterator[Batch]:
    """Gather images into batches of about as much work."""
    some: list[RawImage] = []
    for image in images:
        some.append(image)
        if len(some) == FEW or sum(len(each.data) for each in some) >= FEW_BYTES:
            yield Batch(some, max_pixels, bit_depth)
            some = []
    if some:
        yield Batch(some, max_pixels, bit_depth)


def check(_: np.ndarray, batch: Batch) -> list[Checked]:
    """Check images: a worker's function (`graft.data.workers`)."""
    return [_check(image, batch.max_pixels, batch.bit_depth) for image in batch.images]


def _check(image: RawImage, max_pixels: int, bit_depth: int) -> Checked:
    data = None
    try:
        height, width = measure(image.data, max_pixels, bit_depth)
        n_bits = count_bits(image.data)
        if n_bits is not None and bit_depth < MAX_BITS:
            data = encode_bmp(decode(image.data, max_pixels, bit_depth))
    except ImageError as error:
        return Checked(error, None)
    except MemoryError:
        raise MemoryError(f"{image.path}: no memory left to decode it; lower prepare.max_pixels") from None
    key = sha256(data or image.data).hexdigest()
    return Checked(Row(key, image.path, image.label, image.split, height, width, n_bits), data)
