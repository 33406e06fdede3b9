"""Fashion-MNIST and CIFAR-10: what is written in their format is read back, what is damaged is refused."""

import gzip
import io
import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.config.data import SplitParams
from graft.data.datasets import cifar10, fashion_mnist, load_dataset
from graft.data.datasets._arrays import encode_bmp
from graft.data.download import DownloadError, Source
from graft.data.images import decode
from graft.data.ingest import prepare
from graft.data.manifest import COLUMNS
from graft.data.raw import RawImage
from graft.data.split import make_manifest
from helpers.archives import make_tar
from helpers.limits import prepare_params
from helpers.repository import ROOT, edit, run
from helpers.servers import published, send, serve
from helpers.small_images import Part, batch, idx, random_part, write_cifar10, write_fashion_mnist
from helpers.splits import sizes, split_params

GRAY, COLOUR = (28, 28), (32, 32, 3)
AGAIN = r"dvc repro --force download"
seeds = st.integers(0, 2**32)


def pixels(image: RawImage) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image.data)))


# --- the files that images become ----------------------------------------------------------------


@settings(deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 200), colour=st.booleans(), seed=seeds)
def test_a_file_holds_its_pixels_and_nothing_else(height: int, width: int, colour: bool, seed: int) -> None:
    """The header that the BMP format defines, a gray palette, rows from the bottom up in BGR, padded to 4."""
    shape = (height, width, 3) if colour else (height, width)
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    data = encode_bmp(array)
    rows = array[::-1, :, ::-1] if colour else array[::-1]
    padded = [row.tobytes() + bytes(-row.size % 4) for row in rows]
    n_colours = 0 if colour else 256
    start, size = 54 + 4 * n_colours, sum(map(len, padded))
    dots = 3780  # a metre: 96 an inch
    header = struct.pack("<2sIII", b"BM", start + size, 0, start)
    header += struct.pack(
        "<IIIHHIIIIII", 40, width, height, 1, 24 if colour else 8, 0, size, dots, dots, n_colours, n_colours
    )
    assert data == header + b"".join(bytes([i, i, i, 0]) for i in range(n_colours)) + b"".join(padded)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("BMP", "RGB" if colour else "L")
    assert (np.asarray(image) == array).all()
    assert (decode(data) == (array if colour else np.stack([array] * 3, axis=-1))).all()
    assert data == encode_bmp(np.asfortranarray(array))


# --- Fashion-MNIST -------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(n_train=st.integers(0, 7), n_test=st.integers(0, 7), seed=seeds)
def test_what_is_written_as_fashion_mnist_is_read_back(n_train: int, n_test: int, seed: int) -> None:
    parts = {"train": random_part(n_train, GRAY, seed), "test": random_part(n_test, GRAY, seed + 1)}
    with TemporaryDirectory() as folder:
        images = list(fashion_mnist.read(write_fashion_mnist(Path(folder), **parts)))
    expected = [
        (f"{split}/{i:05d}.bmp", fashion_mnist.CLASSES[number], split, array.tolist())
        for split, (arrays, numbers) in parts.items()
        for i, (array, number) in enumerate(zip(arrays, numbers, strict=True))
    ]
    assert [(*image[:3], pixels(image).tolist()) for image in images] == expected


FOUR = random_part(4, GRAY, 0)
LABELS = "train-labels-idx1-ubyte.gz"
IMAGES = "train-images-idx3-ubyte.gz"


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    return write_fashion_mnist(tmp_path / "raw", FOUR, random_part(3, GRAY, 1))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, idx(FOUR[1]), r"of n x 28 x 28 bytes \(magic=00000803\), received magic=00000801"),
        (LABELS, idx(FOUR[0]), r"expected an idx file of n bytes \(magic=00000801\), .* magic=00000803"),
        (IMAGES, b"", r"received magic=, shape=\(0, 0, 0\) and 0 bytes in all"),
        (IMAGES, idx(FOUR[0])[:10], r"shape=\(4, 0, 0\) and 10 bytes in all"),
        (IMAGES, idx(FOUR[0])[:-1], r"shape=\(4, 28, 28\) and 3151 bytes in all"),
        (IMAGES, idx(FOUR[0]) + b"0", r"shape=\(4, 28, 28\) and 3153 bytes in all"),
        (IMAGES, idx(FOUR[0][:, :27]), r"shape=\(4, 27, 28\)"),
        (IMAGES, idx(FOUR[0].astype(">i4")).replace(b"\x08\x03", b"\x0c\x03", 1), r"magic=00000c03"),
        (LABELS, idx(FOUR[1][:3]), rf"each of the 4 images of {IMAGES}, received 3"),
        (LABELS, idx(np.array([0, 9, 10, 255])), r"labels from 0 to 9, received label=10 of image 2"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_fashion_mnist(fashion: Path, name: str, content: bytes, message: str) -> None:
    (fashion / name).write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=rf"raw/.*{message}.*{AGAIN}"):
        list(fashion_mnist.read(fashion))


@settings(max_examples=50, deadline=None)
@given(place=st.integers(0), change=st.integers(0, 255), length=st.integers(0))
def test_damage_anywhere_in_a_gz_file_changes_no_image(place: int, change: int, length: int) -> None:
    with TemporaryDirectory() as folder:
        raw = write_fashion_mnist(Path(folder), FOUR, FOUR)
        expected = list(fashion_mnist.read(raw))
        data = bytearray((raw / IMAGES).read_bytes())
        data[place % len(data)] ^= change
        (raw / IMAGES).write_bytes(data[: len(data) - length % 3])
        try:
            assert list(fashion_mnist.read(raw)) == expected
        except ValueError as error:
            assert IMAGES in str(error)  # noqa: PT017


# --- CIFAR-10 ------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(n_train=st.integers(5, 12), n_test=st.integers(1, 7), seed=seeds)
def test_what_is_written_as_cifar10_is_read_back(n_train: int, n_test: int, seed: int) -> None:
    parts = {"train": random_part(n_train, COLOUR, seed), "test": random_part(n_test, COLOUR, seed + 1)}
    with TemporaryDirectory() as folder:
        images = list(cifar10.read(write_cifar10(Path(folder), **parts)))
    assert len({image.path for image in images}) == n_train + n_test
    for split, (arrays, numbers) in parts.items():
        found = [image for image in images if image.split == split]
        assert [image.label for image in found] == [cifar10.CLASSES[number] for number in numbers]
        assert (np.stack([pixels(image) for image in found]) == arrays).all()
    assert images[0].path == "train/data_batch_1/00000.bmp"
    assert images[-1].path == f"test/test_batch/{n_test - 1:05d}.bmp"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_batch_3.bin": None}, r"expected 6 batches, received none named .*/data_batch_3.bin; fetch"),
        ({"test_batch.bin": b""}, r"whole number of records of 3073 bytes, received 0 bytes"),
        ({"test_batch.bin": b"1" * 3072}, r"member '.*/test_batch.bin': expected .*, received 3072 bytes"),
        ({"data_batch_2.bin": bytes([7]) + bytes(3072) + bytes([10]) + bytes(3072)},
         r"data_batch_2.bin: expected labels from 0 to 9, received label=10 of image 1"),
    ],
)  # fmt: skip
def test_a_damaged_batch_of_cifar10(tmp_path: Path, changes: dict[str, bytes | None], message: str) -> None:
    good = {name: batch(*random_part(1, COLOUR, 0)) for name in cifar10.BATCHES}
    files = good | {f"{cifar10.FOLDER}/{name}": data for name, data in changes.items()}
    kept = {name: data for name, data in files.items() if data is not None}
    make_tar(tmp_path / "cifar-10-binary.tar.gz", kept, "w:gz")
    with pytest.raises(ValueError, match=rf"cifar-10-binary.tar.gz: .*{message}.*{AGAIN}"):
        list(cifar10.read(tmp_path))


def test_the_pickled_archive_of_cifar10_is_not_read(tmp_path: Path) -> None:
    """Its members are pickles, which could run code: no byte of them is looked at."""
    make_tar(tmp_path / "cifar-10-python.tar.gz", {"cifar-10-batches-py/data_batch_1": b"\x80\x02"}, "w:gz")
    with pytest.raises(ValueError, match=r"expected 6 batches, received none named .*data_batch_1.bin"):
        list(cifar10.read(tmp_path))


@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_a_truncated_archive_of_cifar10(tmp_path: Path, keep: float) -> None:
    raw = write_cifar10(tmp_path, random_part(10, COLOUR, 0), random_part(2, COLOUR, 1))
    (archive,) = raw.iterdir()
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * keep)])
    with pytest.raises(ValueError, match="corrupt or truncated"):
        list(cifar10.read(raw))


# --- download ------------------------------------------------------------------------------------


def served(url: str, files: dict[str, bytes]) -> tuple[Source, ...]:
    """The files as sources of a server, with the checksum that the real ones have."""
    return tuple(published(f"{url.rpartition('/')[0]}/{name}", data, "md5") for name, data in files.items())


def test_fashion_mnist_is_downloaded_and_read(tmp_path: Path, fashion: Path) -> None:
    files = {name: (fashion / name).read_bytes() for name, *_ in fashion_mnist.FILES}
    with serve(*map(send, files.values())) as (url, requests):
        for raw in (tmp_path / "raw1", tmp_path / "raw2"):
            sources = served(url, files)
            fashion_mnist.fetch(raw, tmp_path, tmp_path / "cache", sources)
            assert list(fashion_mnist.read(raw)) == list(fashion_mnist.read(fashion))
    assert requests == [f"/files/{name}" for name in files]


def test_cifar10_is_downloaded_and_read(tmp_path: Path) -> None:
    made = write_cifar10(tmp_path / "made", random_part(6, COLOUR, 0), random_part(2, COLOUR, 1))
    files = {archive.name: archive.read_bytes() for archive in made.iterdir()}
    with serve(*map(send, files.values())) as (url, _):
        (source,) = served(url, files)
        cifar10.fetch(tmp_path / "raw", tmp_path, tmp_path / "cache", source)
    assert list(cifar10.read(tmp_path / "raw")) == list(cifar10.read(made))


def test_another_file_of_the_same_length_is_refused_by_its_md5(tmp_path: Path) -> None:
    with serve(send(b"MNIST")) as (url, _):
        sources = served(url, {"train-images-idx3-ubyte.gz": b"mnist"})
        with pytest.raises(DownloadError, match=r"5 bytes with md5=\w{32}, received md5=\w{32} \(corrupt"):
            fashion_mnist.fetch(tmp_path / "raw", tmp_path, tmp_path, sources)


def test_the_published_checksums() -> None:
    """Of https://github.com/zalandoresearch/fashion-mnist and https://www.cs.toronto.edu/~kriz/cifar.html."""
    found = {s.url.rpartition("/")[2]: (s.checksum, s.size) for s in (*fashion_mnist.SOURCE, cifar10.SOURCE)}
    assert found == {
        "train-images-idx3-ubyte.gz": ("md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        "train-labels-idx1-ubyte.gz": ("md5:25c81989df183df01b3e8a0aad5dffbe", 29_515),
        "t10k-images-idx3-ubyte.gz": ("md5:bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        "t10k-labels-idx1-ubyte.gz": ("md5:bb300cfdad3c16e7a12a480ee83cd310", 5_148),
        "cifar-10-binary.tar.gz": ("md5:c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),
    }


# --- from the files to the manifest --------------------------------------------------------------

TWO_CLASSES = np.arange(60, dtype=np.uint8) % 2
TRAIN = (random_part(60, GRAY, 0)[0], TWO_CLASSES)
TEST = (random_part(20, GRAY, 1)[0], TWO_CLASSES[:20])


def prepared(
    folder: Path, train: Part, test: Part, label_conflicts: str = "refuse"
) -> tuple[dict, pd.DataFrame]:
    raw = write_fashion_mnist(folder / "raw", train, test)
    limits = prepare_params(max_rejected=0.025, max_pixels=784, label_conflicts=label_conflicts)
    report = prepare(fashion_mnist.read(raw), limits, folder / "images")
    return report, pd.read_parquet(folder / "images", columns=COLUMNS)


def given_split(images: pd.DataFrame) -> pd.DataFrame:
    params: SplitParams = split_params(strategy="given", validation=0.1)
    return make_manifest(images, params, 0)


def test_the_official_test_set_stays_and_validation_is_taken_from_train(tmp_path: Path) -> None:
    _, images = prepared(tmp_path, TRAIN, TEST)
    manifest = given_split(images)
    assert sizes(manifest, "T-shirt/top") == sizes(manifest, "Trouser") == (27, 3, 10)
    assert set(manifest.loc[manifest["split"] == "test", "path"]) == {f"test/{i:05d}.bmp" for i in range(20)}


def test_an_image_in_train_and_test_stays_in_test_only(tmp_path: Path) -> None:
    arrays = TRAIN[0].copy()
    arrays[40], arrays[50] = TEST[0][2], arrays[30]
    report, images = prepared(tmp_path, (arrays, TWO_CLASSES), TEST)
    assert report["duplicate_paths"] == [
        {"kept": "test/00002.bmp", "dropped": "train/00040.bmp"},
        {"kept": "train/00030.bmp", "dropped": "train/00050.bmp"},
    ]
    assert (report["duplicates"], report["duplicates_across_splits"]) == (2, 1)
    manifest = given_split(images)
    assert manifest["key"].is_unique
    assert sizes(manifest, "T-shirt/top") == (26, 2, 10)


def test_an_image_under_two_labels_is_refused_or_rejected_from_both_splits(tmp_path: Path) -> None:
    arrays = TRAIN[0].copy()
    arrays[41] = TEST[0][2]
    with pytest.raises(ValueError, match=r"several for 1 of 79; .* prepare.label_conflicts=reject`:\n"):
        prepared(tmp_path, (arrays, TWO_CLASSES), TEST)
    report, images = prepared(tmp_path, (arrays, TWO_CLASSES), TEST, label_conflicts="reject")
    reason = "the same image is labelled 'T-shirt/top' and 'Trouser'"
    both = ["test/00002.bmp", "train/00041.bmp"]
    assert report["rejects"] == [{"path": path, "reason": reason} for path in both]
    assert (report["n_read"], report["n_images"], report["n_rejected"]) == (80, 78, 2)
    assert not set(both) & set(images["path"])


# --- through the stages --------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("write", "shape", "changes"),
    [
        (write_fashion_mnist, GRAY, {"dataset": "fashion_mnist", "scratch.color_mode": "grayscale"}),
        (write_cifar10, COLOUR, {"dataset": "cifar10", "scratch.color_mode": "rgb"}),
    ],
)
def test_from_the_archive_to_the_metrics(
    tmp_path: Path, write: Callable[[Path, Part, Part], Path], shape: tuple[int, ...], changes: dict[str, str]
) -> None:
    ten = np.arange(10, dtype=np.uint8)
    train, test = random_part(40, shape, 0)[0], random_part(20, shape, 1)[0]
    write(tmp_path / "data" / "raw", (train, np.tile(ten, 4)), (test, np.tile(ten, 2)))
    for name in ("params.yaml", "edits.csv"):
        shutil.copy(ROOT / name, tmp_path)
    small = {"split.strategy": "given", "split.validation": 0.25, "scratch.epochs": 1}
    edit(tmp_path, small | {"scratch.image_size": shape[0]} | changes)
    for stage in (["prepare"], ["split"], ["train", "scratch"], ["evaluate", "scratch"]):
        run(tmp_path, sys.executable, str(ROOT / "stages" / f"{stage[0]}.py"), *stage[1:])
    metrics = json.loads((tmp_path / "metrics" / "scratch.json").read_text())
    assert metrics["n_seen"] == {"train": 30, "validation": 10, "test": 20}
    labels = [row["label"] for row in metrics["test"]["per_class"]]
    assert labels == sorted(load_dataset(changes["dataset"]).CLASSES)
