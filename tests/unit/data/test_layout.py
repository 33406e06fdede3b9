"""The folders of an image say its class and split, or the error says how to say it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.config.types import Split
from graft.data.layout import Place, find_tree
from graft.data.survey import survey

LABELS = ("cat", "dog")


def tree(*splits: str, labels: tuple[str, ...] = LABELS) -> list[str]:
    return [f"{split}/{label}/1.jpg" for split in splits for label in labels]


def places(names: list[str], layout: str = "auto") -> list[Place | None]:
    found = find_tree(names, layout=layout)  # type: ignore[arg-type]
    return [found.place(name) for name in names]


SPELT: dict[Split, list[str]] = {
    "train": ["train", "TRAIN", "Training"],
    "validation": ["val", "Valid", "Validation", "dev"],
    "test": ["test", "Testing", "eval"],
}
spellings = st.fixed_dictionaries({split: st.sampled_from(words) for split, words in SPELT.items()})


@given(
    words=spellings,
    form=st.sampled_from(["{}", "x_{}", "{}_set", "seg-{}", "{} 2017", "my.data.{}"]),
    doubled=st.booleans(),
    wrapper=st.sampled_from(["", "archive/", "a/b/"]),
    chosen=st.sets(st.sampled_from([*SPELT]), min_size=2),
)
def test_a_tree_of_splits_is_seen_however_its_folders_are_called(
    words: dict[Split, str], form: str, doubled: bool, wrapper: str, chosen: set[Split]
) -> None:
    tops = {split: form.format(words[split]) for split in chosen}
    names = {
        f"{wrapper}{top}/{f'{top}/' * doubled}{label}/1.jpg": Place(label, split)
        for split, top in tops.items()
        for label in LABELS
    }
    found = find_tree([*names])
    assert {name: found.place(name) for name in names} == names


@given(st.permutations([*tree("train", "test"), "train/cat/sub/2.jpg", "test/dog/3.jpg"]))
def test_the_order_of_the_names_does_not_matter(names: list[str]) -> None:
    assert find_tree(names) == find_tree(sorted(names))


@pytest.mark.parametrize(
    "labels",
    [
        ("train", "bus"),
        ("test_tube", "flask"),
        ("valid", "invalid"),
        ("test", "control"),
        ("latest", "contest"),
        ("positive_test", "negative_test"),
        ("steam train", "model train"),
        ("dev board", "circuit"),
    ],
)
@pytest.mark.parametrize("inside", ["", "{}-views/"])
def test_classes_may_be_called_like_splits(labels: tuple[str, ...], inside: str) -> None:
    names = [f"{label}/{inside.format(label)}{n}.jpg" for label in labels for n in range(2)]
    assert places(names) == [Place(label, None) for label in labels for _ in range(2)]


TWO_READINGS = {
    "a third folder": [*tree("train", "test"), "unlabeled/1.jpg"],
    "a third folder of other classes": ["train/steam/1.jpg", "test/a/1.jpg", "ship/big/1.jpg"],
    "a third folder, doubled": [*tree("x_train/x_train", "x_test/x_test"), "x_pred/x_pred/3.jpg"],
    "a third folder that has all again": tree("c/train", "c/test", "c/c/train", "c/c/test"),
    "one split, beside unlabelled images": [*tree("train"), "extra/1.jpg"],
    "one split, beside the same classes": tree("train", "more"),
    "two folders of one split": tree("train_1", "train_2", "test"),
    "different words": tree("train", "test_set"),
}


@pytest.mark.parametrize("names", TWO_READINGS.values(), ids=[*TWO_READINGS])
def test_of_two_readings_one_is_chosen(names: list[str]) -> None:
    choices = "choose with -S folder.layout=splits or -S folder.layout=classes, or rename them"
    with pytest.raises(ValueError, match=choices):
        find_tree(names)
    as_splits, as_classes = places(names, "splits"), places(names, "classes")
    assert all(place.split and place.label not in ("train", "test") for place in as_splits if place)
    assert all(place and place.split is None for place in as_classes)


def test_what_is_beside_the_splits_is_left_out_and_counted() -> None:
    names = [*tree("train", "test"), "unlabeled/1.jpg", "unlabeled/2.jpg"]
    found = survey(names, "splits")
    assert found.images == tree("train", "test")
    assert found.ignored.files == {"beside the splits": 2}


def test_splits_that_are_asked_for_and_not_there() -> None:
    with pytest.raises(ValueError, match="expects some called train, validation or test, received cat, dog"):
        find_tree(["cat/a/1.jpg", "dog/a/1.jpg"], layout="splits")


@pytest.mark.parametrize("stray", ["train/stray.jpg", "stray.jpg"])
def test_a_stray_image_does_not_turn_splits_into_classes(stray: str) -> None:
    expected = re.escape(f"expected <split>/<class>/<image>, received '{stray}' (1 in all)")
    with pytest.raises(ValueError, match=expected):
        find_tree([*tree("train", "test"), stray])


@pytest.mark.parametrize("root", ["", "w/"])
@pytest.mark.parametrize(
    ("names", "empty"),
    [
        (["owl/1.tif", "owl/2.tif", "cow/"], {"owl": "2 .tif", "cow": "an empty folder"}),
        (["owl/a/b/", "cow/x/notes.txt"], {"owl": "an empty folder", "cow": "1 .txt"}),
        ([".net/1.jpg"], {".net": "its name begins with a dot"}),
        (["owl/.hidden/1.jpg"], {"owl": "1 hidden"}),
        ([".git/1.jpg", ".idea/x.xml", "__MACOSX/cat/1.jpg", ".ipynb_checkpoints/1.png", "cat/empty/"], {}),
        (["notes.txt", "cat/1.tif", "cat/.ipynb_checkpoints/1.jpg"], {}),
    ],
)
def test_a_class_without_an_image_is_told(root: str, names: list[str], empty: dict[str, str]) -> None:
    all_names = ["cat/1.jpg", "dog/1.jpg", *names]
    assert survey([f"{root}{name}" for name in all_names], "auto").ignored.classes == empty


@pytest.mark.parametrize(
    ("names", "empty"),
    [
        (["train/owl/1.tif", "test/owl/"], {"owl": "1 .tif"}),
        (["train/owl/1.jpg", "test/owl/"], {}),
        (["val/"], {"val": "an empty folder"}),
        (["val/cat/1.tif"], {"val": "1 .tif"}),
        (["docs/readme.txt"], {}),
    ],
)
def test_in_a_tree_a_class_or_split_without_an_image_is_told(names: list[str], empty: dict[str, str]) -> None:
    assert survey([*tree("train", "test"), *names], "auto").ignored.classes == empty


def test_a_class_of_another_format_is_no_reason_to_look_through_the_other_one() -> None:
    names = ["cat/a/1.jpg", "cat/b/2.jpg", "dog/1.tif"]
    with pytest.raises(ValueError, match=r"one class only: .* received 'cat'; no image of 'dog' \(1 .tif\)"):
        survey(names, "auto")


folders, files = (
    st.sampled_from(["cat", "dog", "owl", ".x", "w/cat"]),
    st.sampled_from(["1.jpg", "2.tif", ""]),
)


@given(st.lists(st.tuples(folders, files), min_size=1))
def test_every_file_is_read_or_counted(parts: list[tuple[str, str]]) -> None:
    names = sorted({f"{folder}/{file}" for folder, file in parts} | {"cat/0.jpg", "dog/0.jpg"})
    found = survey(names, "auto")
    n_files = sum(not name.endswith("/") for name in names)
    assert len(found.images) + sum(found.ignored.files.values()) == n_files
