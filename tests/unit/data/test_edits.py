"""The edit file: what `prepare` does with a person's decisions, and which it refuses, by their lines."""

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.data import ingest
from graft.data.edits import ACTIONS, COLUMNS, read_edits
from graft.data.raw import RawImage
from graft.report.words import describe_left_out
from helpers.limits import prepare_params
from helpers.repository import ROOT


def picture(number: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (6, 5), (number, 0, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def key(number: int) -> str:
    return sha256(picture(number)).hexdigest()


IMAGES = [
    RawImage(f"{label}/{n}.png", label, None, picture(n)) for n, label in enumerate(["cat"] * 4 + ["dog"] * 4)
]
HEADER = ",".join(COLUMNS) + "\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_lines(*lines: str) -> Path:
        path = tmp_path / "edits.csv"
        path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write_lines


def prepare(path: Path, images: list[RawImage] = IMAGES) -> tuple[dict[str, Any], dict[str, str]]:
    """The report of `prepare`, and the label of each path that is left."""
    limits = prepare_params(max_rejected=0.0)
    folder = path.parent / "images"
    report = ingest.prepare(images, limits, folder, edits=read_edits(path))
    tables = [pq.read_table(shard).to_pylist() for shard in folder.glob("*.parquet")]
    return report, {row["path"]: row["label"] for table in tables for row in table}


def test_the_committed_file_decides_nothing() -> None:
    assert read_edits(ROOT / "edits.csv") == {}


def test_each_action_does_what_it_says(write: Write) -> None:
    path = write(
        f"{key(0)},drop,,cat/0.png,blurred",
        f'{key(1)},relabel,dog,cat/1.png,"a dog, really"',
        f"{key(2)},keep,dog,cat/2.png,",
        f"{key(3)},drop,,,",
    )
    report, labels = prepare(path)
    assert labels == {f"cat/{n}.png": "dog" if n == 1 else "cat" for n in (1, 2)} | {
        f"dog/{n}.png": "dog" for n in range(4, 8)
    }
    assert report["rejects"] == [
        {"path": "cat/0.png", "reason": "dropped by edits.csv: blurred"},
        {"path": "cat/3.png", "reason": "dropped by edits.csv"},
    ]
    assert report["edits"] == {"keep": 1, "drop": 2, "relabel": 1}
    assert (report["n_read"], report["classes"]) == (8, {"cat": 1, "dog": 5})
    (sentence,) = describe_left_out(report, report["classes"])
    assert sentence == "Images that a person decided on in edits.csv: keep (1), drop (2), relabel (1)."


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 7), st.sampled_from(ACTIONS)), st.randoms())
def test_it_is_as_if_the_images_had_come_so(write: Write, edits: dict[int, str], random: Any) -> None:
    """The order of rows and images does not matter, and images that no row names stay as they are."""
    lines = [f"{key(n)},{action},cat,," for n, action in edits.items()]
    corrected = [
        image._replace(label="cat") if edits.get(n) == "relabel" else image
        for n, image in enumerate([*IMAGES, IMAGES[0]._replace(path="cat/9.png", data=picture(9))])
        if edits.get(n) != "drop"
    ]
    left = {image.label for image in corrected}
    random.shuffle(lines)
    images = [*IMAGES, IMAGES[0]._replace(path="cat/9.png", data=picture(9))]
    random.shuffle(images)
    if left == {"cat", "dog"}:
        assert prepare(write(*lines), images)[1] == {image.path: image.label for image in corrected}
    else:
        with pytest.raises(ValueError, match=r"none of 1: 'dog'|at least 2 classes"):
            prepare(write(*lines), images)


def test_a_label_settles_an_image_that_stands_under_two(write: Write) -> None:
    twice = [*IMAGES, RawImage("dog/copy.png", "dog", None, picture(0))]
    report, labels = prepare(write(f"{key(0)},relabel,dog,,"), twice)
    assert labels["cat/0.png"] == "dog"
    assert report["duplicates"] == 1


def test_a_class_whose_images_are_all_relabelled_is_no_empty_one(write: Write) -> None:
    images = [*IMAGES, RawImage("Cat/8.png", "Cat", None, picture(8))]
    report, _ = prepare(write(f"{key(8)},relabel,cat,,"), images)
    assert (report["empty_classes"], report["classes"]) == ({}, {"cat": 5, "dog": 4})


def test_rows_of_other_images_are_warned_of_and_change_no_byte(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = prepare(write())
    capsys.readouterr()
    assert prepare(write(f"{key(99)},drop,,,", f"{key(98)},relabel,no class here,,")) == expected
    said = capsys.readouterr().out
    assert (
        f"2 of 2 rows of edits.csv are of no image that is accepted here, such as line 2, key={key(99)}"
        in said
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([f"{key(0)},remove,,,"], "line 2: action='remove', expected keep, drop or relabel"),
        (["", f"{key(0)},relabel,,,"], "line 3: label is empty"),
        ([f"{key(0)},relabel,dgo,,"], "line 2: label='dgo', expected a class: cat, dog"),
        ([f"{key(0)},keep,,,", f"{key(0)},drop,,,"], f"line 3: key='{key(0)}' stands in line 2, too"),
        (["abc,drop,,,"], "line 2: key='abc', expected 64 hexadecimal digits"),
        ([f"{key(0)},drop,,a,b,c"], "line 2: expected 5 values, received 6; quote one that has a comma"),
        (["x,drop,,,"] * 7, "cannot be used, 7 in all:\n  line 2: .*\n  ... and 2 more"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_line(write: Write, lines: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}"):
        prepare(write(*lines))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"key;action;label;path;note\n",
            "line 1: expected key,action,label,path,note, received ..key;action",
        ),
        (b"", "line 1: expected key.* received ..$"),
        (HEADER.encode("utf-16"), "not CSV in UTF-8"),
        (HEADER.encode() + b'"a,drop', "not CSV in UTF-8 .*save it as such"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "edits.csv").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_edits(tmp_path / "edits.csv")


def test_a_spreadsheet_may_have_written_it(tmp_path: Path) -> None:
    path = tmp_path / "edits.csv"
    path.write_bytes(f"\ufeff{HEADER}{key(0)},drop,,,\n".replace("\n", "\r\n").encode())
    assert read_edits(path)[key(0)].action == "drop"
