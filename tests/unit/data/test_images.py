"""The decoder: every kind of file becomes RGB, and every kind of broken file a short reason."""

import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from graft.data.decoding import decode_keys, load_pixels
from graft.data.images import FORMATS, ImageError, decode, load, resize
from graft.data.sharding import write_table
from graft.data.sixteen_bits import count_bits

# `graft.data.images` silences Pillow once, at import; pytest resets the filters before each test.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encode(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The image as a file."""
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG file that promises pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    size, checksum = struct.pack(">I", 13), struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + size + chunk + checksum + struct.pack(">I", 1000) + b"IDAT"


FILES = {form: encode(Image.fromarray(RGB), form) for form in FORMATS}


@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_a_lossless_file_decodes_to_its_pixels(form: str) -> None:
    assert (decode(FILES[form]) == RGB).all()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_writable_rgb(form: str) -> None:
    image = decode(FILES[form])
    assert (image.shape, image.dtype, image.flags.writeable) == ((20, 30, 3), np.uint8, True)


@pytest.mark.parametrize(
    ("mode", "form", "expected"),
    [
        ("1", "PNG", lambda image: image.convert("RGB")),
        ("L", "PNG", lambda image: image.convert("RGB")),
        ("LA", "PNG", lambda image: image.convert("L").convert("RGB")),
        ("P", "PNG", lambda image: image.convert("RGB")),
        ("P", "GIF", lambda image: image.convert("RGB")),
        ("RGBA", "PNG", lambda image: image.convert("RGB")),
    ],
)
def test_every_mode_becomes_rgb(mode: str, form: str, expected: Callable[[Image.Image], Image.Image]) -> None:
    image = Image.fromarray(RGB).convert(mode)
    assert (decode(encode(image, form)) == np.asarray(expected(image))).all()


def test_alpha_is_dropped_not_blended() -> None:
    transparent = np.dstack([RGB, np.zeros((20, 30), np.uint8)])
    assert (decode(encode(Image.fromarray(transparent))) == RGB).all()


def test_pillows_warnings_do_not_surface(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(8)
    (tmp_path / "p.png").write_bytes(encode(image, transparency=bytes([0, 128, 255, 0, 0, 0, 0, 0])))
    code = "from graft.data.images import decode; import pathlib; decode(pathlib.Path('p.png').read_bytes())"
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (200, 30, 30))
    difference = decode(encode(red.convert("CMYK"), "JPEG")).astype(int) - (200, 30, 30)
    assert abs(difference).max() < 12


def test_16_bit_gray_is_scaled_not_clipped() -> None:
    gray = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert (decode(encode(Image.fromarray(gray))) == (gray >> 8)[..., None]).all()


def png(samples: np.ndarray) -> bytes:
    """Values (H, W, channels) of 16 bits as a PNG file."""
    height, width, channels = samples.shape
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@given(channels=st.integers(1, 4), bit_depth=st.integers(8, 16), seed=st.integers(0, 99))
def test_of_16_bits_a_channel_the_upper_8_of_those_in_use_are_taken(
    channels: int, bit_depth: int, seed: int
) -> None:
    """Gray and colours, with and without alpha: `read_samples` relies on Pillow's names of them."""
    samples = np.random.default_rng(seed).integers(0, 2**bit_depth, (3, 5, channels)).astype(np.uint16)
    colours = samples[..., :3] if channels > 2 else samples[..., :1]
    data = png(samples)
    assert (decode(data, bit_depth=bit_depth) == colours >> (bit_depth - 8)).all()
    assert count_bits(data) == int(colours.max()).bit_length()
    assert (decode(data) == colours >> 8).all()


@pytest.mark.parametrize("form", FORMATS)
def test_a_bit_depth_is_of_16_bit_images_alone(form: str) -> None:
    assert (decode(FILES[form], bit_depth=9) == decode(FILES[form])).all()
    assert count_bits(FILES[form]) is None


def test_values_above_the_bit_depth_are_an_error() -> None:
    with pytest.raises(ImageError, match=r"^the value 512 has more bits than bit_depth=9$"):
        decode(png(np.full((2, 2, 1), 512, np.uint16)), bit_depth=9)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("black", "white")]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], duration=10)
    assert decode(data).max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(RGB), form, exif=exif)
    assert (decode(data) == np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))))).all()
    assert decode(data).shape == ((20, 30, 3) if orientation < 5 else (30, 20, 3))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x09garbage"]
)
def test_damaged_exif_does_not_matter(exif: bytes) -> None:
    assert (decode(encode(Image.fromarray(RGB), exif=exif)) == RGB).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"a text file named .jpg\n", "not an image (JPEG, PNG, GIF, BMP or WEBP)"),
        (encode(Image.fromarray(RGB), "TIFF"), "not an image (JPEG, PNG, GIF, BMP or WEBP)"),
        (FILES["JPEG"][:-400], "truncated"),
        (FILES["PNG"][:500], "truncated"),
        (png_header(50_000, 50_000), "50000 x 50000 pixels exceed max_pixels=100000000"),
        (png_header(4, 4), "truncated"),
    ],
)
def test_a_broken_file_has_a_short_stable_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        decode(data, 100_000_000)
    assert str(error.value) == reason


def test_max_pixels_is_inclusive() -> None:
    assert decode(FILES["PNG"], 600).shape == (20, 30, 3)
    with pytest.raises(ImageError, match=r"^30 x 20 pixels exceed max_pixels=599$"):
        decode(FILES["PNG"], 599)


@given(form=st.sampled_from(FORMATS), data=st.data())
def test_damage_anywhere_is_an_image_or_a_reason(form: str, data: st.DataObject) -> None:
    file = bytearray(FILES[form])
    for place in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=5)):
        file[place] ^= data.draw(st.integers(1, 255))
    cut = bytes(file[: data.draw(st.integers(0, len(file)))])
    try:
        shape = decode(cut, 10_000).shape
    except ImageError as error:
        reason = str(error)
    else:
        reason = f"{shape[1]} x {shape[0]} pixels"
    known = r"empty file|not an image \(.*\)|truncated|damaged|no pixels: .*|\d+ x \d+ pixels( exceed .*)?"
    assert re.fullmatch(known, reason)


def test_resize_is_bilinear_and_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert abs(np.asarray(resize(Image.fromarray(stripes), 8), int) - 127).max() <= 20
    image = Image.fromarray(RGB)
    assert resize(image, 7) == image.resize((7, 7), Image.Resampling.BILINEAR)


@given(size=st.integers(1, 50), form=st.sampled_from(FORMATS))
def test_load_is_decode_then_resize(size: int, form: str) -> None:
    assert (load(FILES[form], size) == np.asarray(resize(Image.fromarray(decode(FILES[form])), size))).all()


def test_threads_do_not_disturb_each_other() -> None:
    files = [FILES[form] for form in FORMATS] * 40
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files))
    assert all((image == decode(file)).all() for image, file in zip(together, files, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards as `prepare` writes them, with another column that must not matter."""
    folder = tmp_path_factory.mktemp("images")
    rows = sorted((sha256(data).hexdigest(), data) for data in FILES.values())
    for name, part in (("0", rows[:2]), ("1", rows[2:])):
        keys, images = zip(*part, strict=True)
        table = pa.table({"key": keys, "path": keys, "image": pa.array(images, pa.binary())})
        write_table(table, folder / f"{name}.parquet", 64)
    return folder


@given(files=st.lists(st.sampled_from(list(FILES.values())), max_size=8))
def test_load_pixels_follows_the_keys(folder: Path, files: list[bytes]) -> None:
    pixels = load_pixels(folder, [sha256(file).hexdigest() for file in files], 9)
    assert pixels.shape == (len(files), 9, 9, 3)
    assert all((image == load(file, 9)).all() for image, file in zip(pixels, files, strict=True))


@given(gray=st.binary(min_size=12, max_size=12), size=st.integers(1, 9))
def test_a_gray_image_keeps_its_one_channel_and_has_it_three_times_as_rgb(gray: bytes, size: int) -> None:
    image = Image.frombytes("L", (4, 3), gray)
    data = encode(image)
    one, three = load(data, size, "grayscale"), load(data, size)
    assert (one == np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))[..., None]).all()
    assert (three == one).all()
    assert three.shape == (size, size, 3)


@pytest.mark.parametrize("form", FORMATS)
def test_a_colour_image_becomes_gray_as_in_keras(form: str) -> None:
    """That is: Pillow's luma, before the resizing."""
    expected = Image.fromarray(decode(FILES[form])).convert("L").resize((9, 9), Image.Resampling.BILINEAR)
    assert (load(FILES[form], 9, "grayscale")[..., 0] == np.asarray(expected)).all()


def test_load_pixels_loads_gray(folder: Path) -> None:
    keys = [sha256(file).hexdigest() for file in FILES.values()]
    pixels = load_pixels(folder, keys, 9, color_mode="grayscale")
    assert pixels.shape == (len(keys), 9, 9, 1)
    assert (pixels == np.stack([load(file, 9, "grayscale") for file in FILES.values()])).all()


def test_load_pixels_fills_the_array_it_is_given(folder: Path) -> None:
    keys = [sha256(file).hexdigest() for file in FILES.values()]
    out = np.zeros((len(keys), 8, 8, 3), np.uint8)
    assert load_pixels(folder, keys, 8, out) is out
    assert (out == load_pixels(folder, keys, 8)).all()


def test_load_pixels_names_the_missing_key(folder: Path) -> None:
    keys = [sha256(FILES["PNG"]).hexdigest(), "f" * 64]
    with pytest.raises(
        ValueError, match=rf"1 of 2 images are not in folder=.*key={'f' * 64}; .*dvc repro split"
    ):
        load_pixels(folder, keys, 8)


def test_a_folder_without_shards_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no image shards .* run `dvc repro prepare` first"):
        next(decode_keys(tmp_path, [], 8))


def test_an_image_that_the_decoder_cannot_hold_has_a_reason() -> None:
    """Pillow raises a MemoryError, whatever the memory."""
    with pytest.raises(ImageError, match=r"100000000 x 1 pixels do not fit the decoder"):
        decode(whole_png(100_000_000, 1), 100_000_000)


LITTLE = """
import resource, sys
from pathlib import Path
from graft.data.images import decode
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
decode(Path(sys.argv[1]).read_bytes())
"""


def test_a_machine_without_memory_rejects_no_good_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(Image.new("L", (20_000, 20_000))))
    command = [sys.executable, "-c", LITTLE, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith(
        ("MemoryError", "numpy._core._exceptions._ArrayMemoryError")
    )


def whole_png(width: int, height: int) -> bytes:
    """A PNG file of no data, but with its end."""
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return (
        png_header(width, height)[:33]
        + struct.pack(">I", 0)
        + b"IDAT"
        + struct.pack(">I", zlib.crc32(b"IDAT"))
        + end
    )
