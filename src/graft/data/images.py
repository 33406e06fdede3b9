"""The only decoder and resizer: bytes -> (H, W, 3) or (H, W, 1) in [0, 255]."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from graft.config.types import ColorMode
from graft.data.sixteen_bits import MAX_BITS, read_samples
from graft.utils.budget import Budget, SharedBudget

CHANNELS: dict[ColorMode, int] = {"rgb": 3, "grayscale": 1}
COLOR_MODES = {channels: mode for mode, channels in CHANNELS.items()}
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")

# Of all that decode at once, in threads here or in processes of `graft.data.workers`: 16 bytes each, at most
# (WebP; 8 of most JPEG and PNG files).
PIXELS: Budget | SharedBudget = Budget()
AT_ONCE, BYTES_A_PIXEL = 100_000_000, 16

# Pillow loads its plugins on first use, which is a race between threads; load them here.
Image.init()
# Above the 32 MiB up to which malloc keeps what is freed, in a heap for each thread: else four threads, one
# after the other, held 2.4 GB. https://pillow.readthedocs.io/en/stable/reference/block_allocator.html
Image.core.set_block_size(2**26)  # type: ignore[attr-defined]
# `prepare.max_pixels` is the limit against decompression bombs; Pillow's own is fixed, and warns first.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns about damaged metadata beside good pixels. `warnings.catch_warnings` around a call is not
# thread-safe, so they are silenced here, once.
warnings.filterwarnings("ignore", module="PIL")


class ImageError(ValueError):
    """The bytes do not decode; the text is a short reason, the same on every run."""


def decode(data: bytes, max_pixels: int | None = None, bit_depth: int = MAX_BITS) -> np.ndarray:
    """Decode an encoded image to RGB.

    EXIF orientation is applied; of an animation the first frame is taken; alpha is dropped, as
    ``keras.utils.load_img`` does; 16 bits a channel become the upper 8 of the `bit_depth` in use.

    Args:
        data: a JPEG, PNG, GIF, BMP or WEBP file.
        max_pixels: the largest height x width to decode, and of all that decode at once; ``None``: no
            limit for one, `AT_ONCE` for all. Checked against the header, before any pixel is decoded.
        bit_depth: bits of the values in images of 16 bits a channel, 8 to 16.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: if the file is empty, no image, truncated, damaged or too large, or has values of more
            than `bit_depth` bits.
        MemoryError: if the machine has too little for the pixels.
    """
    with _opened(data, max_pixels, bit_depth) as image:
        return np.array(image)


def measure(data: bytes, max_pixels: int | None = None, bit_depth: int = MAX_BITS) -> tuple[int, int]:
    """Decode an image as `decode` does, only to know that it can be: its height and width, upright."""
    with _opened(data, max_pixels, bit_depth) as image:
        return image.height, image.width


def resize(image: Image.Image, size: int) -> Image.Image:
    """Resize to a square of `size` pixels, bilinear and antialiased.

    The aspect ratio is not kept, as in ``keras.utils.image_dataset_from_directory``.
    """
    return image.resize((size, size), Image.Resampling.BILINEAR)


def load(
    data: bytes,
    size: int,
    color_mode: ColorMode = "rgb",
    max_pixels: int | None = None,
    bit_depth: int = MAX_BITS,
) -> np.ndarray:
    """Decode and resize an encoded image.

    Args:
        data, max_pixels, bit_depth: as in `decode`.
        size: pixels, height = width.
        color_mode: as in ``keras.utils.load_img``. ``grayscale`` leaves gray images as they are and
            takes the luma of the others (ITU-R 601); ``rgb`` gives gray images three equal channels.

    Returns:
        (size, size, 3) or, gray, (size, size, 1) uint8.
    """
    with _opened(data, max_pixels, bit_depth) as image:
        return resize_to(image, size, color_mode)


def resize_to(image: Image.Image, size: int, color_mode: ColorMode = "rgb") -> np.ndarray:
    """Resize an image in RGB or gray as `load` does."""
    if color_mode == "grayscale":
        return np.array(resize(image.convert("L"), size))[..., np.newaxis]
    return np.array(_to_rgb(resize(image, size)))


def _to_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy one that is RGB


@contextmanager
def _opened(data: bytes, max_pixels: int | None, bit_depth: int) -> Iterator[Image.Image]:
    """Give an image in RGB, as long as it may take memory."""
    image = _read_header(data)
    width, height = image.size
    if not width * height:
        raise ImageError(f"no pixels: {width} x {height}")
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(f"{width} x {height} pixels exceed max_pixels={max_pixels}")
    with PIXELS.taken(width * height, max_pixels or AT_ONCE):
        yield _decode(data, image, bit_depth)


def _read_header(data: bytes) -> ImageFile.ImageFile:
    if not data:
        raise ImageError("empty file")
    # Damaged files raise anything from SyntaxError to zlib.error, with texts that hold addresses.
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except MemoryError:
        raise  # the machine's fault: nothing is decoded yet
    except Exception:
        raise ImageError("not an image (JPEG, PNG, GIF, BMP or WEBP)") from None


def _decode(data: bytes, image: ImageFile.ImageFile, bit_depth: int) -> Image.Image:
    try:
        image.load()
        samples = read_samples(data)
        return _upright(image, _to_rgb(image) if samples is None else _to_8_bits(samples, bit_depth))
    except ImageError:
        raise
    except MemoryError:
        np.empty((image.width * image.height, BYTES_A_PIXEL), np.uint8)  # or it is the machine's fault
        raise ImageError(f"{image.width} x {image.height} pixels do not fit the decoder") from None
    except Exception as error:
        raise ImageError("truncated" if "truncated" in str(error) else "damaged") from None


def _to_8_bits(samples: np.ndarray, bit_depth: int) -> Image.Image:
    if samples.max() >> bit_depth:
        raise ImageError(f"the value {samples.max()} has more bits than bit_depth={bit_depth}")
    return Image.fromarray((samples >> (bit_depth - 8)).astype(np.uint8)).convert("RGB")


def _upright(original: ImageFile.ImageFile, rgb: Image.Image) -> Image.Image:
    orientation = None
    with suppress(Exception):
        orientation = original.getexif().get(ExifTags.Base.Orientation)
    if orientation in (None, 1):
        return rgb
    # `exif_transpose` rewrites the EXIF block and fails where another tag is damaged: give it no other.
    plain = rgb.copy() if rgb is original else rgb
    plain.info = {}
    plain.getexif()[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(plain, in_place=True)
    return plain
