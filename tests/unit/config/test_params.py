"""params.yaml: what is wrong is said before any work starts, by key, expectation and value."""

import copy
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import modify_yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from graft.config.load import ParamsError, load_params
from graft.config.types import SPLITS
from graft.methods.params import parse_params
from helpers.repository import ROOT

FILE = ROOT / "params.yaml"
DEFAULTS: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def leaves(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key below a mapping."""
    if not isinstance(values, dict):
        return []
    return [p for key, value in values.items() for p in [(*path, key), *leaves(value, (*path, key))]]


def changed(key: str, value: Any) -> dict[str, Any]:
    """The defaults with one value replaced or added; ``key`` is dotted."""
    values = copy.deepcopy(DEFAULTS)
    *parents, last = key.split(".")
    block = values
    for parent in parents:
        block = block[parent]
    block[last] = value
    return values


def test_the_defaults_are_valid() -> None:
    assert parse_params(DEFAULTS).seed == DEFAULTS["seed"]


BLOCKS = [
    "",
    "demo.",
    "prepare.",
    "split.",
    "backbones.vgg19.",
    "features.",
    "augmentation.",
    "two_stage.",
    "two_stage_views.head.",
    "two_stage.feature_augmentation.",
    "inline.fine_tune.",
    "inline.schedule.",
    "inline.",
    "scratch.",
    "metrics.",
    "explain.",
]


@pytest.mark.parametrize("block", BLOCKS)
def test_an_unknown_key_is_named(block: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(changed(block + "dropuot", 0.5))
    values: Any = DEFAULTS
    for name in block.split(".")[:-1]:
        values = values[name]
    start, legal = str(error.value).rsplit("legal here: ", 1)
    assert start == (
        "params.yaml is not valid:\n"
        f"  {block}dropuot: unknown key; remove it or correct its name (received 0.5; "
    )
    assert set(legal.removesuffix(")").split(", ")) == set(values)


@pytest.mark.parametrize("path", [path for path in leaves(DEFAULTS) if path[:-1] != ("backbones",)])
def test_no_key_may_be_missing(path: tuple[Any, ...]) -> None:
    values = copy.deepcopy(DEFAULTS)
    block = values
    for parent in path[:-1]:
        block = block[parent]
    del block[path[-1]]
    with pytest.raises(ParamsError, match=re.escape(".".join(path)) + ": missing; add it|must name"):
        parse_params(values)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", -1, "seed: input should be greater than or equal to 0, received -1"),
        ("seed", 1.5, "seed: input should be a valid integer, received 1.5"),
        ("seed", "one", "seed: input should be a valid integer, received 'one'"),
        ("dataset", "flower", "dataset must be one of .*demo.*, not 'flower'"),
        ("backbone", "vgg", "backbone must be one of .*vgg16.*, not 'vgg'"),
        ("weights", "", "weights: string should have at least 1 character, received ''"),
        ("demo.image_size", 8, "demo.image_size: .* greater than or equal to 32, received 8"),
        ("prepare.max_rejected", 1.5, "prepare.max_rejected: .* less than or equal to 1, received 1.5"),
        ("prepare.max_rejected", "few", "prepare.max_rejected: .* valid number.*, received 'few'"),
        ("prepare.max_pixels", 0, "prepare.max_pixels: .* greater than or equal to 1, received 0"),
        ("split.strategy", "random", "split.strategy: .*'index_ranges' or 'given', received 'random'"),
        ("split.max_per_class", 0, "split.max_per_class.*: .* greater than or equal to 1, received 0"),
        ("split.max_per_class", {"rose": "x"}, "split.max_per_class.*rose: .* integer.*, received 'x'"),
        ("prepare.label_conflicts", "keep", "prepare.label_conflicts: .* or 'reject', received 'keep'"),
        ("split.validation", 0, "split.validation: .* greater than 0, received 0"),
        ("split.validation", 1, "split.validation: .* less than 1, received 1"),
        ("split.fractions.train", 0.6, "split: fractions must name train, .* and sum to 1, not 1.1"),
        ("split.fractions.dev", 0.1, "split.fractions.dev.*: .*'train', 'validation' or 'test'"),
        ("split.index_ranges.test", [1499, 1600], "split: index_ranges must not overlap"),
        ("split.index_ranges.test", [9, 3], "split: .* last number must not be below its first"),
        ("split.index_ranges.test", [3], "split.index_ranges.test.1: missing|field required"),
        ("backbones.vgg19.pooling", "sum", "backbones.vgg19.pooling: .*'avg' or 'max', received 'sum'"),
        ("backbones.vgg19.image_size", 96.5, "backbones.vgg19.image_size: .* valid integer.*, received 96.5"),
        ("features", 3, "features: input should be .*, received 3"),
        ("features.views", -1, "features.views: .* greater than or equal to 0, received -1"),
        ("augmentation.zoom", 1, "augmentation.zoom: .* less than 1, received 1"),
        ("augmentation.rotation", float("nan"), "augmentation.rotation: .*, received nan"),
        ("two_stage.head.dropout", 1.0, "two_stage.head.dropout: .* less than 1, received 1.0"),
        ("two_stage.head.dense", [256, 0], "two_stage.head.dense.1: .* or equal to 1, received 0"),
        ("inline.optimizer", "lion", "inline.optimizer: .*, received 'lion'"),
        ("inline.learning_rate", 0, "inline.learning_rate: .* greater than 0, received 0"),
        ("inline.patience", 0, "inline.patience: .* greater than or equal to 1, received 0"),
        ("scratch.color_mode", "gray", "scratch.color_mode: .*'rgb' or 'grayscale', received 'gray'"),
        ("scratch.layers", [], "scratch.layers: .* at least 1 item.*, received \\[\\]"),
        ("scratch.layers", [{"A": {}, "B": {}}], "scratch.layers.0: .* at most 1 item"),
        ("split.classes", ["daisy"], "split.classes: .* at least 2 items.*, received \\['daisy'\\]"),
        ("split.classes", ["a", "a"], "split.classes: expected each value once, received \\['a', 'a'\\]"),
        ("seeds", [], "seeds: list should have at least 1 item.*, received \\[\\]"),
        ("seeds", [1, 1], "seeds: expected each value once, received \\[1, 1\\]"),
        ("inline.seeds", [2**32], "inline.seeds.0: .* less than 4294967296, received 4294967296$"),
        ("inline.seeds", [-1], "inline.seeds.0: .* greater than or equal to 0, received -1"),
        ("scratch.precision", "int8", "scratch.precision: .*'float32' or 'bfloat16', received 'int8'"),
        ("two_stage.schedule.name", "step", "two_stage.schedule.name: .*'exponential', received 'step'"),
        ("two_stage.schedule.factor", 1, "two_stage.schedule.factor: .* less than 1, received 1"),
        ("two_stage.global_clipnorm", 0, "two_stage.global_clipnorm: .* greater than 0, received 0"),
        ("two_stage.label_smoothing", 1, "two_stage.label_smoothing: .* less than 1, received 1"),
        ("two_stage.class_weight", "balance", "two_stage.class_weight: .*'balanced', received 'balance'"),
        ("two_stage.sampling", "random", "two_stage.sampling: .*'shuffle' or 'balanced', received 'random'"),
        ("two_stage.mix", "cut", "two_stage.mix: .*'none', 'mixup' or 'cutmix', received 'cut'"),
        ("two_stage.mix_alpha", 0, "two_stage.mix_alpha: .* greater than 0, received 0"),
        ("two_stage.head.l2", -1, "two_stage.head.l2: .* greater than or equal to 0, received -1"),
        ("two_stage.head.batch_norm", 1, "two_stage.head.batch_norm: .* boolean, received 1"),
        ("two_stage.fine_tune", {"layers": 2}, "two_stage: fine_tune .* excludes cached .* inline.fine_tune"),
        ("inline.fine_tune.blocks", ["a", "a"], "inline.fine_tune.blocks: expected each value once"),
        ("metrics.confidence", 1, "metrics.confidence: .* less than 1, received 1"),
        ("explain.mistakes", -1, "explain.mistakes: .* greater than or equal to 0, received -1"),
        ("explain.hesitant", 1.5, "explain.hesitant: .* valid integer.*, received 1.5"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_was_expected_and_received(
    key: str, value: Any, message: str
) -> None:
    with pytest.raises(ParamsError, match=rf"^params\.yaml is not valid:\n(.*\n)*?  {message}"):
        parse_params(changed(key, value))


def test_every_fault_is_listed_at_once() -> None:
    values = changed("seed", -1) | {"demo": {"image_size": 1}, "colour": "red"}
    with pytest.raises(ParamsError) as error:
        parse_params(values)
    found = re.findall(r"^  ([\w.]+):", str(error.value), re.MULTILINE)
    assert sorted(found) == ["colour", "demo.image_size", "demo.images_per_class", "seed"]


@pytest.mark.parametrize("value", [1e-4, "1e-4"])
def test_a_learning_rate_may_be_written_1e_4(value: Any) -> None:
    """YAML 1.1 reads ``1e-4``, without a dot, as text; ``dvc exp run -S`` writes it so."""
    assert parse_params(changed("inline.learning_rate", value)).inline.learning_rate == 0.0001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [0\n", "params.yaml is not YAML: "),
        ("seed: 0\n\tdataset: demo\n", "params.yaml is not YAML: "),
        ("", "seed: missing"),
        ("- seed\n", r"input should be a valid dictionary.*, received \['seed'\]"),
    ],
)
def test_a_file_that_is_no_mapping_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        load_params("seed", path=file)


def test_a_stage_gets_only_what_it_names() -> None:
    params = load_params("seed", "split", path=FILE)
    assert set(vars(params)) == {"seed", "split"}
    with pytest.raises(AttributeError):
        _ = params.backbone


def test_row_is_the_backbone_that_is_selected() -> None:
    assert load_params("row", path=FILE).row == parse_params(DEFAULTS).backbones[DEFAULTS["backbone"]]


def test_a_fault_in_a_block_that_the_stage_does_not_use_stops_it_too(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(changed("metrics.confidence", 7)), encoding="utf-8")
    with pytest.raises(ParamsError, match=r"metrics\.confidence"):
        load_params("seed", path=file)


def test_parameters_are_frozen() -> None:
    params = parse_params(DEFAULTS)
    for block, key in ((params, "seed"), (params.split, "strategy"), (params.two_stage.head, "dropout")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(block, key, 1)


@given(cut=st.lists(st.integers(0, 100), min_size=2, max_size=2).map(sorted))
def test_fractions_that_sum_to_1_in_decimal_are_valid(cut: list[int]) -> None:
    shares = [cut[0] / 100, (cut[1] - cut[0]) / 100, (100 - cut[1]) / 100]
    fractions = dict(zip(SPLITS, shares, strict=True))
    assert parse_params(changed("split.fractions", fractions)).split.fractions == fractions


def test_every_hyper_parameter_is_explained() -> None:
    """A comment beside or above a key, a key of the same name in another block, or its block.

    What stands deeper, in the list of layers, are arguments of Keras.
    """
    explained: set[str] = set()
    keys: list[tuple[str, tuple[str, ...]]] = []
    parents: list[str] = []
    lines = FILE.read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        if match := re.match(r"( {0,4})(\w+):", line):
            parents = [*parents[: len(match[1]) // 2], match[2]]
            keys.append((match[2], tuple(parents[:-1])))
            if " #" in line or re.match(r" *# [^-]", above):
                explained.add(match[2])
    blocks = {parent for _, inside in keys for parent in inside}
    values = [(key, inside) for key, inside in keys if key not in blocks]
    assert len(values) > 50
    assert [".".join((*inside, key)) for key, inside in values if not {key, *inside[-1:]} & explained] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inline.class_weight": "balanced", "inline.sampling": "balanced"},
            "inline: class_weight=balanced and sampling=balanced exclude each other.* set class_weight",
        ),
        (
            {"scratch.patience": 3, "scratch.schedule.name": "reduce_on_plateau"},
            "scratch: patience=3 stops the training before schedule.patience=3 could .* set patience to more",
        ),
        (
            {"inline.fine_tune.blocks": ["block5"], "inline.fine_tune.layers": 3},
            r"inline.fine_tune: blocks=\['block5'\] and layers=3 exclude each other; set blocks to \[\] or",
        ),
        (
            {"backbones.vgg19.pooling": "avg", "two_stage.feature_augmentation.zoom": 0.1},
            r"two_stage.feature_augmentation.zoom=0.1 .* backbones.vgg19.pooling=avg makes vectors; set",
        ),
        (
            {"backbones.vgg19.pooling": "max", "two_stage_views.mix": "cutmix"},
            "two_stage_views.mix=cutmix .* backbones.vgg19.pooling=max makes vectors; set pooling to none",
        ),
    ],
)
def test_options_that_exclude_each_other(changes: dict[str, Any], message: str) -> None:
    values = copy.deepcopy(DEFAULTS)
    for key, value in changes.items():
        *parents, last = key.split(".")
        block = values
        for parent in parents:
            block = block[parent]
        block[last] = value
    with pytest.raises(ParamsError, match=message):
        parse_params(values)


def test_the_file_is_in_the_style_that_dvc_writes(tmp_path: Path) -> None:
    """So that ``dvc exp run -S backbones.resnet50.image_size=160`` changes one line."""
    file = tmp_path / "params.yaml"
    file.write_text(FILE.read_text(encoding="utf-8"), encoding="utf-8")
    with modify_yaml(file) as values:
        values["backbones"]["resnet50"]["image_size"] = 160
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (FILE, file))
    assert [new.strip() for old, new in zip(before, after, strict=True) if old != new] == ["image_size: 160"]
