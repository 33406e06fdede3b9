"""Splits depend on the images and the seed, and on nothing else."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graft.config.types import SPLITS
from graft.data.split import assign_index_ranges, assign_splits, make_manifest, take_subset
from helpers.splits import sizes, split_params

FRACTIONS = {"train": 0.5, "validation": 0.25, "test": 0.25}
RANGES = {"train": (0, 999), "validation": (1000, 1499), "test": (1500, 1999)}

counts = st.dictionaries(st.sampled_from(["a", "b b", "ç", "007", "NA"]), st.integers(1, 30), min_size=1)
seeds = st.integers(0, 2**32)


def frame(sizes: Mapping[str, int], split: str | None = None) -> pd.DataFrame:
    """So many images of each class, as `prepare` lists them."""
    paths = [(label, f"{label}/{label}.{n}.jpg") for label, size in sizes.items() for n in range(size)]
    rows = [(sha256(path.encode()).hexdigest(), path, label, split) for label, path in paths]
    return pd.DataFrame(rows, columns=["key", "path", "label", "split"])


@pytest.mark.parametrize(
    ("label", "total", "expected"),
    [
        ("daisy", 501, (250, 125, 126)),
        ("dandelion", 646, (323, 161, 162)),
        ("rose", 497, (248, 124, 125)),
        ("sunflower", 495, (247, 123, 125)),
        ("tulip", 607, (303, 151, 153)),
    ],
)
def test_the_published_flower_counts(label: str, total: int, expected: tuple[int, ...]) -> None:
    assert sizes(assign_splits(frame({label: total}), FRACTIONS, 0), label) == expected


@given(total=st.integers(0, 300), train=st.integers(0, 100), validation=st.integers(0, 100), seed=seeds)
@example(total=100, train=29, validation=58, seed=0)  # 28.999... and 57.999... in floats
def test_shares_are_rounded_down_exactly(total: int, train: int, validation: int, seed: int) -> None:
    validation = min(validation, 100 - train)
    shares = {"train": train / 100, "validation": validation / 100, "test": (100 - train - validation) / 100}
    first, second = total * train // 100, total * validation // 100
    manifest = assign_splits(frame({"a": total, "b": 1}), shares, seed)
    assert sizes(manifest, "a") == (first, second, total - first - second)


@given(sizes_=counts, seed=seeds, order=st.randoms(use_true_random=False))
def test_neither_row_order_nor_labels_change_a_split(sizes_: dict[str, int], seed: int, order: Any) -> None:
    images = frame(sizes_)
    rows = list(range(len(images)))
    order.shuffle(rows)
    renamed = images.iloc[rows].assign(label=lambda images: "class " + images["label"].str[::-1])
    before, after = assign_splits(images, FRACTIONS, seed), assign_splits(renamed, FRACTIONS, seed)
    pd.testing.assert_frame_equal(before.drop(columns="label"), after.drop(columns="label"))


def test_the_seed_matters_and_splits_are_not_in_path_order() -> None:
    images = frame({"a": 100, "b": 100})
    zero, one = (assign_splits(images, FRACTIONS, seed)["split"] for seed in (0, 1))
    assert (zero != one).sum() > 50
    assert (assign_splits(images, FRACTIONS, 0)["split"].iloc[:50] == "train").sum() < 40


def test_a_repeated_key_is_an_error() -> None:
    images = pd.concat([frame({"a": 3}), frame({"a": 1})])
    with pytest.raises(ValueError, match=f"expected unique keys, received key={images['key'].iloc[0]}"):
        assign_splits(images, FRACTIONS, 0)


@given(sizes_=counts, few=st.integers(1, 10), more=st.integers(0, 10), seed=seeds)
def test_a_smaller_subset_is_part_of_a_larger(sizes_: dict[str, int], few: int, more: int, seed: int) -> None:
    images = frame(sizes_)
    small, large = take_subset(images, few, seed), take_subset(images[::-1], few + more, seed)
    assert set(small["key"]) <= set(large["key"])
    expected = {label: min(few, size) for label, size in sizes_.items()}
    assert small["label"].value_counts().to_dict() == expected


def test_a_subset_of_named_classes_keeps_the_others_whole() -> None:
    subset = take_subset(frame({"a": 9, "b": 9, "c": 9}), {"a": 2, "b": 100}, 0)
    assert subset["label"].value_counts().to_dict() == {"a": 2, "b": 9, "c": 9}


def test_an_unknown_class_in_max_per_class_lists_the_classes() -> None:
    with pytest.raises(
        ValueError, match=r"max_per_class .* expected some of \['a', 'b'\], received \['rose'\]"
    ):
        take_subset(frame({"a": 1, "b": 1}), {"rose": 2}, 0)


def test_index_ranges_are_inclusive_and_leave_the_rest_out() -> None:
    manifest = assign_index_ranges(frame({"cat": 2002}), RANGES)
    assert sizes(manifest, "cat") == (1000, 500, 500)
    split = manifest.set_index("path")["split"]
    edges = {0: "train", 999: "train", 1000: "validation", 1499: "validation", 1500: "test", 1999: "test"}
    assert {n: split[f"cat/cat.{n}.jpg"] for n in edges} == edges
    assert "cat/cat.2000.jpg" not in split


def test_the_last_number_of_the_stem_counts() -> None:
    images = frame({"cat": 4}).assign(
        path=["7/12_cat_1600.jpg", "cat.0005.jp2000g", "c1500/1200 (copy).png", f"{9**40}.png"]
    )
    manifest = assign_index_ranges(images, RANGES)
    expected = {
        "7/12_cat_1600.jpg": "test",
        "cat.0005.jp2000g": "train",
        "c1500/1200 (copy).png": "validation",
    }
    assert dict(zip(manifest["path"], manifest["split"], strict=True)) == expected


def test_a_name_without_a_number_is_an_error() -> None:
    images = frame({"cat": 2}).assign(path=["1/tom.jpg", "cat/cat.1.jpg"])
    with pytest.raises(ValueError, match=r"received 1 without, the first path='1/tom.jpg'; rename"):
        assign_index_ranges(images, RANGES)


@given(strategy=st.sampled_from(["fractions", "index_ranges"]), seed=seeds, order=st.randoms())
def test_the_manifest_is_sorted_by_path_whatever_the_order(strategy: str, seed: int, order: Any) -> None:
    images = frame({"b": 40, "a": 40})
    ranges = {"train": [0, 9], "validation": [10, 19], "test": [20, 39]}
    params = split_params(strategy=strategy, index_ranges=ranges)
    rows = list(range(len(images)))
    order.shuffle(rows)
    manifest = make_manifest(images.iloc[rows], params, seed)
    pd.testing.assert_frame_equal(manifest, make_manifest(images, params, seed))
    assert list(manifest.columns) == ["key", "path", "label", "split"]
    assert manifest["path"].is_monotonic_increasing


def test_the_rest_goes_to_test_in_whatever_order_params_yaml_names_the_splits() -> None:
    params = split_params(fractions={"test": 0.25, "validation": 0.25, "train": 0.5})
    assert sizes(make_manifest(frame({"a": 7, "b": 7}), params, 0), "a") == (3, 1, 3)


def test_the_subset_is_taken_before_the_split() -> None:
    manifest = make_manifest(frame({"a": 100, "b": 30}), split_params(max_per_class={"a": 20}), 0)
    assert (sizes(manifest, "a"), sizes(manifest, "b")) == ((10, 5, 5), (15, 7, 8))


def test_given_splits_are_kept() -> None:
    parts = [frame({f"{label}": 2}, split) for split in SPLITS for label in ("a", "b")]
    images = pd.concat(parts).assign(path=lambda images: images["split"] + "/" + images["path"])
    manifest = make_manifest(images, split_params(strategy="given"), 0)
    assert (manifest["split"] == manifest["path"].str.split("/").str[0]).all()
    assert len(manifest) == 12
    assert manifest["path"].is_monotonic_increasing


def official(sizes_: dict[str, int], n_test: int) -> pd.DataFrame:
    """A dataset of which the source gives train and test."""
    parts = [frame(sizes_, "train"), frame(dict.fromkeys(sizes_, n_test), "test")]
    paths = [part["split"] + "/" + part["path"] for part in parts]
    keys = [[sha256(path.encode()).hexdigest() for path in part] for part in paths]
    return pd.concat([part.assign(path=p, key=k) for part, p, k in zip(parts, paths, keys, strict=True)])


@given(
    sizes_=st.dictionaries(st.sampled_from(["a", "b b", "ç"]), st.integers(10, 60), min_size=1),
    percent=st.integers(10, 90),
    seed=seeds,
    order=st.randoms(use_true_random=False),
)
def test_a_missing_validation_is_a_share_of_each_class_of_train(
    sizes_: dict[str, int], percent: int, seed: int, order: Any
) -> None:
    images, params = official(sizes_, 3), split_params(strategy="given", validation=percent / 100)
    rows = list(range(len(images)))
    order.shuffle(rows)
    manifest = make_manifest(images.iloc[rows], params, seed)
    pd.testing.assert_frame_equal(manifest, make_manifest(images, params, seed))
    for label, size in sizes_.items():
        part = size * percent // 100
        assert sizes(manifest, label) == (size - part, part, 3)
    in_test = manifest["path"].str.startswith("test/")
    assert (in_test == (manifest["split"] == "test")).all()
    train = images[images["split"] == "train"]
    ranked = assign_splits(train, {"validation": percent / 100, "train": 1}, seed)
    expected = dict(zip(ranked["key"], ranked["split"], strict=True))
    found = dict(zip(manifest["key"], manifest["split"], strict=True))
    assert {key: found[key] for key in expected} == expected


def test_a_larger_validation_holds_the_smaller_and_another_seed_takes_others() -> None:
    images = official({"a": 100, "b": 100}, 2)

    def validation(share: float, seed: int = 0) -> set[str]:
        manifest = make_manifest(images, split_params(strategy="given", validation=share), seed)
        return set(manifest.loc[manifest["split"] == "validation", "key"])

    assert validation(0.1) < validation(0.3)
    assert validation(0.1) != validation(0.1, seed=1)


def test_a_share_too_small_for_one_validation_image_is_an_error() -> None:
    message = r"received 'a' \(train=9, validation=0, .*change split.strategy, split.validation or "
    with pytest.raises(ValueError, match=message):
        make_manifest(official({"a": 9, "b": 20}, 1), split_params(strategy="given", validation=0.1), 0)


def test_validation_images_of_the_data_set_s_own_are_all_there_are() -> None:
    parts = [frame({"a": 20, "b": 20}, split) for split in SPLITS]
    images = pd.concat(part.assign(path=part["split"] + "/" + part["path"]) for part in parts)
    manifest = make_manifest(images, split_params(strategy="given", validation=0.5), 0)
    assert sizes(manifest, "a") == (20, 20, 20)
    lacking = images[(images["split"] != "validation") | (images["label"] == "b")]
    with pytest.raises(ValueError, match=r"1 of 2 classes .*'a' \(train=20, validation=0"):
        make_manifest(lacking, split_params(strategy="given"), 0)


@pytest.mark.parametrize("missing", [None, float("nan"), "dev"])
def test_given_needs_a_split_for_every_image(missing: Any) -> None:
    images = pd.concat([frame({"a": 2}, "train"), frame({"b": 1}).assign(split=[missing])])
    with pytest.raises(ValueError, match=r"1 of 3 without a split, the first path='b/b.0.jpg'; move them"):
        make_manifest(images, split_params(strategy="given"), 0)


@pytest.mark.parametrize(
    ("images", "changes", "message"),
    [
        (frame({"a": 40, "b b": 3}), {}, r"1 of 2 classes would have no image in some split, expected "
         r"at least 1 in every split, received 'b b' \(train=1, validation=0, test=2\).*split.fractions"),
        (frame({"a": 40, "b": 1999}), {"strategy": "index_ranges"},
         r"received 'a' \(train=40, validation=0, test=0\).*change split.index_ranges"),
        (frame({"a": 40, "b": 40}, "train"), {"strategy": "given"}, r"2 of 2 .*train=36, validation=4"),
        (frame({"a": 40, "b": 40}), {"max_per_class": {"b": 1}}, r"'b' \(.* or split.max_per_class"),
        (frame({"a": 9, "b": 9}).assign(path=[f"{n}.png" for n in range(5000, 5018)]),
         {"strategy": "index_ranges"}, r"'a' \(train=0, validation=0, test=0\), 'b'"),
    ],
)  # fmt: skip
def test_a_class_without_an_image_in_some_split_is_an_error(
    images: pd.DataFrame, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_manifest(images, split_params(**changes), 0)


@given(rare=st.integers(1, 40), common=st.integers(2, 9), size=st.integers(1, 3))
def test_one_error_for_all_rare_classes_names_what_leaves_them_out(rare: int, common: int, size: int) -> None:
    images = frame({f"r{n}": size for n in range(rare)} | {f"c{n}": 8 for n in range(common)})
    with pytest.raises(ValueError, match=rf"^{rare} of {rare + common} classes") as caught:
        make_manifest(images, split_params(), 0)
    message = str(caught.value)
    assert message.count("train=") == min(rare, 5)
    assert (f" and {rare - 5} more" in message) == (rare > 5)
    assert f"split.min_per_class={size + 1} or split.classes" in message
    manifest = make_manifest(images, split_params(min_per_class=size + 1), 0)
    chosen = split_params(classes=[f"c{n}" for n in range(common)])
    pd.testing.assert_frame_equal(manifest, make_manifest(images, chosen, 0))


def test_rare_classes_are_left_out_by_what_there_is_not_by_the_subset() -> None:
    images = frame({"a": 40, "b": 40, "c": 3})
    manifest = make_manifest(images, split_params(min_per_class=20, max_per_class={"a": 8, "c": 1}), 0)
    assert {label: sum(sizes(manifest, label)) for label in ("a", "b", "c")} == {"a": 8, "b": 40, "c": 0}


def test_a_limit_that_leaves_one_class_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"split.min_per_class=41 leaves 1 of 2 .* received 'a' \(50\)"):
        make_manifest(frame({"a": 50, "b": 40}), split_params(min_per_class=41), 0)


class TestClasses:
    SIZES: ClassVar = {"daisy": 8, "rose": 9, "tulip": 12}

    def test_the_others_leave_no_trace(self) -> None:
        some = make_manifest(frame(self.SIZES), split_params(classes=["tulip", "daisy"]), 0)
        alone = make_manifest(frame({"daisy": 8, "tulip": 12}), split_params(), 0)
        pd.testing.assert_frame_equal(some, alone)

    def test_with_a_limit_per_class(self) -> None:
        params = split_params(classes=["daisy", "tulip"], max_per_class={"tulip": 4})
        assert sizes(make_manifest(frame(self.SIZES), params, 0), "tulip") == (2, 1, 1)

    @pytest.mark.parametrize(
        ("changes", "key"),
        [
            ({"classes": ["daisy", "lily"]}, "classes"),
            ({"classes": ["daisy", "tulip"], "max_per_class": {"lily": 3}}, "max_per_class"),
        ],
    )
    def test_an_unknown_class(self, changes: dict[str, Any], key: str) -> None:
        legal = r"\['daisy',.* 'tulip'\]"
        with pytest.raises(
            ValueError, match=rf"split\.{key} .*: expected some of {legal}, received \['lily'\]"
        ):
            make_manifest(frame(self.SIZES), split_params(**changes), 0)
