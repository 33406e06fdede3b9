"""`prepare` trusts nothing, loses nothing and leaves nothing half-written."""

import json
import os
import random
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.config.data import Prepare
from graft.data import ingest
from graft.data.checking import FEW
from graft.data.images import decode
from graft.data.raw import Ignored, RawImage
from helpers.limits import prepare_params

LIMIT = 100_000_000


def picture(number: int, form: str = "PNG", size: tuple[int, int] = (6, 5), **options: Any) -> bytes:
    """A different small image file for each number."""
    buffer = BytesIO()
    Image.new("RGB", size, (number % 256, number // 256 % 256, 90)).save(buffer, form, **options)
    return buffer.getvalue()


def prepare(
    images: Iterable[RawImage], max_rejected: float, max_pixels: int, folder: Path, conflicts: Any = "refuse"
) -> dict[str, Any]:
    """Prepare the images within these limits."""
    return ingest.prepare(images, limits(max_rejected, max_pixels, conflicts), folder)


def limits(max_rejected: float, max_pixels: int = LIMIT, conflicts: Any = "refuse") -> Prepare:
    return prepare_params(max_rejected=max_rejected, max_pixels=max_pixels, label_conflicts=conflicts)


def raw(label: str, numbers: range, split: str | None = None) -> list[RawImage]:
    """Images of one class."""
    return [RawImage(f"{label}/{n}.png", label, split, picture(n)) for n in numbers]


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of all shards."""
    return [
        row for path in sorted(folder.glob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


GOOD = [*raw("cat", range(4)), *raw("dog", range(4, 10))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The output folder; its parent does not exist yet."""
    return tmp_path / "data" / "images"


def test_every_image_is_there_with_its_bytes_and_its_size(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn: the size is that of the upright image
    turned = RawImage("dog/turned.jpg", "dog", "test", picture(77, "JPEG", (6, 5), exif=exif))
    report = prepare([*GOOD, turned], 0.0, LIMIT, folder)
    found = rows(folder)
    assert {(row["path"], row["label"], row["split"], row["image"]) for row in found} == {*GOOD, turned}
    assert all(row["key"] == sha256(row["image"]).hexdigest() for row in found)
    assert all((row["height"], row["width"]) == decode(row["image"]).shape[:2] for row in found)
    assert {(row["height"], row["width"]) for row in found} == {(5, 6), (6, 5)}
    assert [row["key"] for row in found] == sorted(row["key"] for row in found)
    assert report == {
        "n_read": 11,
        "n_images": 11,
        "n_shards": 1,
        "bytes": sum(len(image.data) for image in [*GOOD, turned]),
        "classes": {"cat": 4, "dog": 7},
        "empty_classes": {},
        "similar_classes": [],
        "ignored_files": {},
        "ignored_folders": {},
        "sixteen_bit_images": {},
        "duplicates": 0,
        "duplicates_across_splits": 0,
        "duplicate_paths": [],
        "rejected_share": 0.0,
        "n_rejected": 0,
        "rejects": [],
    }


def test_the_columns_and_row_groups(folder: Path) -> None:
    prepare([*raw("a", range(70)), *raw("b", range(70, 140))], 0.0, LIMIT, folder)
    file = pq.ParquetFile(folder / "0.parquet")
    assert {field.name: str(field.type) for field in file.schema_arrow} == {
        "key": "string",
        "path": "string",
        "label": "string",
        "split": "string",
        "image": "binary",
        "height": "int32",
        "width": "int32",
    }
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [64, 64, 12]


HARD = [
    *GOOD,
    *[RawImage(f"copy of {image.path}", image.label, "test", image.data) for image in GOOD[:3]],
    RawImage("cat/text.jpg", "cat", None, b"a text file named .jpg"),
    RawImage("cat/zero.jpg", "cat", None, b""),
]


def test_the_keys_of_the_report_are_sorted(folder: Path) -> None:
    """It is in Git, so that its bytes must depend on nothing but the images."""
    report = prepare(HARD, 0.5, LIMIT, folder)
    assert report["duplicate_paths"]
    assert report["rejects"]
    assert json.dumps(report) == json.dumps(report, sort_keys=True)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(HARD))
def test_the_order_of_the_images_does_not_change_a_byte(folder: Path, order: list[RawImage]) -> None:
    expected = json.dumps(prepare(HARD, 0.5, LIMIT, folder)), contents(folder)
    assert (json.dumps(prepare(iter(order), 0.5, LIMIT, folder)), contents(folder)) == expected


def test_many_images_make_many_shards_and_one_more_changes_one(folder: Path) -> None:
    images = [*raw("a", range(600)), *raw("b", range(600, 1500))]
    assert prepare(images, 0.0, LIMIT, folder)["n_shards"] == 4
    before = contents(folder)
    assert sorted(before) == ["0.parquet", "1.parquet", "2.parquet", "3.parquet"]
    assert [row["key"] for row in rows(folder)] == sorted(sha256(image.data).hexdigest() for image in images)
    prepare([*images, *raw("new", range(1500, 1501))], 0.0, LIMIT, folder)
    assert sum(contents(folder)[name] != before[name] for name in before) == 1


def test_broken_images_are_rejected_with_a_reason(folder: Path) -> None:
    broken = {
        "cat/text.jpg": (b"a text file named .jpg", "not an image (JPEG, PNG, GIF, BMP or WEBP)"),
        "cat/zero.jpg": (b"", "empty file"),
        "dog/cut.jpg": (picture(1, "JPEG", (24, 24))[:-8], "truncated"),
        "dog/large.png": (picture(1, size=(20, 30)), "20 x 30 pixels exceed max_pixels=599"),
    }
    images = [RawImage(path, path.split("/")[0], None, data) for path, (data, _) in broken.items()]
    report = prepare([*images, *GOOD], 4 / 14, 599, folder)
    assert {one["path"]: one["reason"] for one in report["rejects"]} == {
        path: reason for path, (_, reason) in broken.items()
    }
    assert (report["n_read"], report["n_images"], report["rejected_share"]) == (14, 10, 4 / 14)
    assert {row["path"] for row in rows(folder)} == {image.path for image in GOOD}


def test_duplicates_are_folded_to_the_smallest_path(folder: Path) -> None:
    data = picture(200)
    paths = ["train/cat/z.png", "test/cat/a.png", "train/cat/b.png"]
    copies = [RawImage(path, "cat", path.split("/")[0], data) for path in paths]
    others = [RawImage(f"train/dog/{n}.png", "dog", "train", picture(n)) for n in range(3)]
    report = prepare([*copies, *others], 0.0, LIMIT, folder)
    assert (report["n_read"], report["n_images"]) == (6, 4)
    assert (report["duplicates"], report["duplicates_across_splits"]) == (2, 2)
    assert report["duplicate_paths"] == [
        {"kept": "test/cat/a.png", "dropped": "train/cat/b.png"},
        {"kept": "test/cat/a.png", "dropped": "train/cat/z.png"},
    ]
    assert [(row["path"], row["split"]) for row in rows(folder) if row["image"] == data] == [
        ("test/cat/a.png", "test")
    ]


COPIES = [
    RawImage(path, label, None, GOOD[0].data) for path, label in [("dog/x y.png", "dog"), ("z.png", "cat")]
]
CONFLICT = [*GOOD, *COPIES]


@pytest.mark.parametrize("order", [1, -1])
def test_all_copies_of_an_image_under_several_labels_can_be_rejected(folder: Path, order: int) -> None:
    report = prepare(CONFLICT[::order], 3 / 12, LIMIT, folder, "reject")
    reason = "the same image is labelled 'cat' and 'dog'"
    paths = ["cat/0.png", "dog/x y.png", "z.png"]
    assert report["rejects"] == [{"path": path, "reason": reason} for path in paths]
    assert (report["n_read"], report["n_images"], report["duplicates"]) == (12, 9, 0)
    assert {row["path"] for row in rows(folder)} == {image.path for image in GOOD[1:]}


KNOWN = {"cat/0.png": "known", "z.png": "known", "cat/zero.jpg": "known, too", "cat/absent.png": "not there"}


def test_known_faults_are_rejected_with_their_reason_beyond_the_limit(folder: Path) -> None:
    images = [*GOOD, COPIES[1], RawImage("cat/zero.jpg", "cat", None, b"")]
    report = ingest.prepare(images, limits(0.0), folder, KNOWN)
    assert {one["path"]: one["reason"] for one in report["rejects"]} == {
        path: KNOWN[path] for path in ("cat/0.png", "z.png", "cat/zero.jpg")
    }
    assert (report["n_read"], report["n_images"], report["n_rejected"]) == (12, 9, 3)
    assert {row["path"] for row in rows(folder)} == {image.path for image in GOOD[1:]}


def test_a_fault_that_is_not_known_is_refused_beside_known_ones(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"expected one label per image, received several for 1 of 10"):
        ingest.prepare(CONFLICT, limits(0.0), folder, {"z.png": "known"})
    broken = [*GOOD, RawImage("cat/cut.jpg", "cat", None, b""), RawImage("cat/zero.jpg", "cat", None, b"")]
    with pytest.raises(ValueError, match=r"^1 of 12 images rejected .*\n  cat/cut.jpg: empty file$"):
        ingest.prepare(broken, limits(0.02), folder, KNOWN)


def test_classes_without_an_image_are_refused_or_dropped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [*GOOD, RawImage("owl/1.png", "owl", None, b""), RawImage("owl/2.png", "owl", None, b"x")]
    ignored = Ignored({".tif": 3}, {"empty": 1}, {"cow": "an empty folder", "emu": "3 .tif"})
    told = "'cow' (an empty folder), 'emu' (3 .tif), 'owl' (all 2 rejected)"
    with pytest.raises(ValueError, match=re.escape(f"received none of 3: {told}; give each some")):
        ingest.prepare(images, limits(0.5), folder, ignored=ignored)
    dropping = prepare_params(max_rejected=0.5, empty_classes="drop")
    report = ingest.prepare(images, dropping, folder, ignored=ignored)
    assert report["empty_classes"] == {**ignored.classes, "owl": "all 2 rejected"}
    assert (report["ignored_files"], report["ignored_folders"]) == (ignored.files, ignored.folders)
    assert f"WARNING: classes without an image, dropped: {told}" in capsys.readouterr().out


def test_a_class_whose_images_are_all_in_another_one_is_refused_too(folder: Path) -> None:
    copies = [RawImage(f"owl/{image.path}", "owl", None, image.data) for image in GOOD[:2]]
    with pytest.raises(ValueError, match=r"received none of 1: 'owl' \(all 2 rejected\)"):
        prepare([*GOOD, *copies], 0.9, LIMIT, folder, "reject")


ALIKE = ["Café", "cafe\u0301", "CAFÉ ", "\u200acafé", "ｃａｆé"]


def test_classes_that_look_alike_are_told_apart_in_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [
        RawImage(f"{n}.png", label, None, picture(n)) for n, label in enumerate([*ALIKE, "dog", "do g"])
    ]
    report = prepare(images, 0.0, LIMIT, folder)
    assert report["similar_classes"] == [sorted(ALIKE), ["do g", "dog"]]
    assert len(report["classes"]) == 7
    said = capsys.readouterr().out
    assert r"classes that look alike: 'CAF\xc9 ', 'Caf\xe9', 'cafe\u0301', '\u200acaf\xe9'" in said


def test_of_an_image_in_several_splits_test_is_kept_however_the_folders_are_called(folder: Path) -> None:
    images = [RawImage("Train/cat/1.png", "cat", "train", picture(0)), *GOOD]
    images += [
        RawImage("dev/cat/1.png", "cat", "validation", picture(77)),
        RawImage("z/1.png", "cat", "test", picture(77)),
    ]
    prepare([image._replace(split=image.split or "test") for image in images], 0.0, LIMIT, folder)
    kept = {row["path"]: row["split"] for row in rows(folder) if row["image"] in (picture(0), picture(77))}
    assert kept == {"cat/0.png": "test", "z/1.png": "test"}


def gray(numbers: range, highest: int) -> list[RawImage]:
    """Gray images of 16 bits whose highest value is that."""
    files = []
    for n in numbers:
        values = np.full((4, 5), highest, np.uint16)
        values[0, 0] = 256 * n
        buffer = BytesIO()
        Image.fromarray(values).save(buffer, "PNG")
        files.append(RawImage(f"{n % 2}/{n}.png", str(n % 2), None, buffer.getvalue()))
    return files


def test_images_that_use_few_of_their_16_bits_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = gray(range(6), 4095)
    assert prepare([*images, *GOOD], 0.0, LIMIT, folder)["sixteen_bit_images"] == {"12": 6}
    assert {row["image"] for row in rows(folder)} == {image.data for image in [*images, *GOOD]}
    assert (
        "WARNING: images of 16 bits, by their highest values: 6 of 12 bits; with prepare.bit_depth=16 they "
        "are dark, 16 of 256 levels: set it to 12"
    ) in capsys.readouterr().out
    prepare([*images, *gray(range(6, 8), 65535)], 0.0, LIMIT, folder)
    said = capsys.readouterr().out
    assert "6 of 12 bits, 2 of 16 bits" in said
    assert "WARNING" not in said


def test_with_a_bit_depth_they_are_kept_as_the_8_bits_that_they_mean(folder: Path) -> None:
    images = [*gray(range(6), 4095), *GOOD]
    report = ingest.prepare(images, prepare_params(bit_depth=12), folder)
    assert report["sixteen_bit_images"] == {"12": 6}
    for row in rows(folder):
        assert row["key"] == sha256(row["image"]).hexdigest()
        original = next(image.data for image in images if image.path == row["path"])
        assert (decode(row["image"]) == decode(original, bit_depth=12)).all()
        assert (row["image"] == original) == (row["path"].startswith(("cat", "dog")))
    too_deep = [*GOOD, *gray(range(2), 4096)]
    with pytest.raises(ValueError, match=r"the value 4096 has more bits than bit_depth=12"):
        ingest.prepare(too_deep, prepare_params(bit_depth=12), folder)


def test_too_many_label_conflicts_are_too_many_rejects(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"3 of 12 images rejected .*\n  cat/0.png: the same image"):
        prepare(CONFLICT, 0.2, LIMIT, folder, "reject")


def test_without_conflicts_rejecting_them_changes_nothing(folder: Path) -> None:
    refusing = prepare(HARD, 0.5, LIMIT, folder), contents(folder)
    assert (prepare(HARD, 0.5, LIMIT, folder, "reject"), contents(folder)) == refusing


def test_names_of_any_kind_survive(folder: Path) -> None:
    labels = ["my cat", "日本", 'a "quoted", name', "line\nbreak", "NA", "007"]
    images = [RawImage(f"{label}/é {label}.png", label, None, picture(n)) for n, label in enumerate(labels)]
    report = prepare(images, 0.0, LIMIT, folder)
    assert sorted(report["classes"]) == sorted(labels)
    assert {(row["path"], row["label"]) for row in rows(folder)} == {(i.path, i.label) for i in images}
    assert json.loads(json.dumps(report, ensure_ascii=False)) == report


BAD = {
    "empty": ([], r"the dataset holds no image: expected .* received none; correct `dataset` or `source`"),
    "one class": (
        raw("cat", range(5)),
        r"at least 2 classes, received classes=\['cat'\] \(0 images rejected\)",
    ),
    "no image of a class is left": (
        [*GOOD, *raw("emu", range(10, 80)), RawImage("owl/1.jpg", "owl", None, b"hoot")],
        r"an image of every class, received none of 1: 'owl' \(all 1 rejected\); .*empty_classes=drop$",
    ),
    "too many rejects": (
        [*GOOD, *[RawImage(f"cat/{n}.jpg", "cat", None, b"") for n in range(10, 17)]],
        r"7 of 17 images rejected \(41\.18%\), expected at most prepare\.max_rejected=0\.02; .* raise "
        r"prepare\.max_rejected in params\.yaml:\n  cat/10\.jpg: empty file\n(.*\n){4}  \.\.\. and 2 more$",
    ),
    "two labels": (
        [*GOOD, RawImage("dog/x y.png", "dog", None, GOOD[0].data)],
        r"expected one label per image, received several for 1 of 10; .* prepare.label_conflicts=reject`:\n"
        r"  'cat/0.png' \(label='cat'\), 'dog/x y.png' \(label='dog'\); key=[0-9a-f]{64}$",
    ),
    "one path twice": (
        [*GOOD, RawImage("cat/0.png", "cat", None, picture(99))],
        r"path='cat/0.png' occurs 2 times in the dataset; paths must be unique: rename one",
    ),
    "one path twice, rejected once": ([*GOOD, RawImage("cat/0.png", "cat", None, b"")], r"occurs 2 times"),
    "a path that is no text": (
        [*GOOD, RawImage("cat/\udcff.png", "cat", None, picture(99))],
        r"path='cat/\\udcff.png' is not valid UTF-8; rename the file",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("order", [1, -1])
def test_bad_input_is_an_error_and_the_former_output_stays(folder: Path, name: str, order: int) -> None:
    prepare(GOOD, 0.0, LIMIT, folder)
    before = contents(folder.parent)
    images, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        prepare(images[::order], 0.02, LIMIT, folder)
    assert contents(folder.parent) == before
    assert list(folder.parent.iterdir()) == [folder]


def test_an_interruption_leaves_nothing_behind_and_what_a_kill_left_is_removed(folder: Path) -> None:
    def interrupted() -> Iterator[RawImage]:
        yield from GOOD
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(interrupted(), 0.0, LIMIT, folder)
    assert list(folder.parent.iterdir()) == []
    (folder.parent / "images.partial" / "images").mkdir(parents=True)
    (folder.parent / "images.partial" / "images" / "7.parquet").write_bytes(b"left by a kill")
    prepare(GOOD, 0.0, LIMIT, folder)
    assert list(folder.parent.rglob("*")) == [folder, folder / "0.parquet"]


def test_the_share_of_rejects_is_compared_as_written(folder: Path) -> None:
    broken = [RawImage(f"cat/{n}.jpg", "cat", None, b"") for n in range(29)]
    images = [*broken, *raw("cat", range(100, 170)), *raw("dog", range(170, 171))]
    assert prepare(images, 0.29, LIMIT, folder)["rejected_share"] == 0.29  # 100 * 0.29 is 28.999...


def test_the_images_are_streamed(folder: Path) -> None:
    """The source is never read far ahead of what is decoded."""
    alive: list[int] = []

    class Counted(bytes):
        def __init__(self, _: bytes) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    def images() -> Iterator[RawImage]:
        for n in range(300):
            yield RawImage(f"{n % 2}/{n}.png", str(n % 2), None, Counted(picture(n)))
            peaks.append(len(alive))

    peaks: list[int] = []
    prepare(images(), 0.0, LIMIT, folder)
    assert len(peaks) == 300
    assert max(peaks) <= (2 * os.cpu_count() + 5) * FEW


def test_shuffled_big_and_small_images_together(folder: Path) -> None:
    """Images that take longer to decode do not overtake, nor are they overtaken by, the others' rows."""
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    images = [*GOOD, RawImage("dog/big.png", "dog", None, buffer.getvalue())]
    random.Random(0).shuffle(images)
    prepare(images, 0.0, LIMIT, folder)
    assert {(row["path"], row["image"]) for row in rows(folder)} == {(i.path, i.data) for i in images}
