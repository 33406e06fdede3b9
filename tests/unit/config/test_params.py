"""params.yaml: what is wrong is said before any work starts, by key, expectation and value."""

import copy
import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import dump_yaml, load_yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from graft.config.data import SplitParams
from graft.config.evaluation import Metrics
from graft.config.features import BackboneRow
from graft.config.load import ParamsError, load_params, parse_yaml, read_params
from graft.config.types import SPLITS, Seed, Text
from graft.methods.params import parse_params
from helpers.repository import ROOT
from helpers.tiers import long_but_for

FILE = ROOT / "params.yaml"
DEFAULTS = read_params(FILE)


ROW = {"backbones.${backbone}": BackboneRow}


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
    "predict.",
    "metrics.",
    "explain.",
]


OPTIONAL = {"library", "sha256"}  # keys of a row of `backbones`


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
    optional = OPTIONAL if block.startswith("backbones.") else set()
    assert set(legal.removesuffix(")").split(", ")) == {*values, *optional}


REQUIRED = [
    path
    for path in leaves(DEFAULTS)
    if path[:-1] != ("backbones",) and path[-1] not in OPTIONAL and not (path[0] == "tune" and len(path) > 2)
]


@pytest.mark.parametrize("path", REQUIRED)
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
        ("distilled.teacher", "best", "distilled.teacher must be one of linear, .*, scratch.*, not 'best'"),
        ("distilled.teacher", "distilled", "distilled.teacher must be one of linear, .*, not 'distilled'"),
        ("distilled.alpha", 1.1, "distilled.alpha: .* less than or equal to 1, received 1.1"),
        ("distilled.temperature", 0, "distilled.temperature: .* greater than 0, received 0"),
        ("split.classes", ["daisy"], "split.classes: .* at least 2 items.*, received \\['daisy'\\]"),
        ("split.classes", ["a", "a"], "split.classes: expected each value once, received \\['a', 'a'\\]"),
        ("seeds", [], "seeds: list should have at least 1 item.*, received \\[\\]"),
        ("seeds", [1, 1], "seeds: expected each value once, received \\[1, 1\\]"),
        ("inline.seeds", [2**32], "inline.seeds.0: .* less than 4294967296, received 4294967296$"),
        ("inline.seeds", [-1], "inline.seeds.0: .* greater than or equal to 0, received -1"),
        ("features.precision", "int8", "features: features.precision=int8: .*features.engine to openvino"),
        ("features.engine", "onnx", "features.engine: .*'keras' or 'openvino', received 'onnx'"),
        ("scratch.precision", "int8", "scratch.precision: .*'float32' or 'bfloat16', received 'int8'"),
        ("two_stage.schedule.name", "step", "two_stage.schedule.name: .*'exponential', received 'step'"),
        ("two_stage.schedule.factor", 1, "two_stage.schedule.factor: .* less than 1, received 1"),
        ("two_stage.global_clipnorm", 0, "two_stage.global_clipnorm: .* greater than 0, received 0"),
        ("two_stage.label_smoothing", 1, "two_stage.label_smoothing: .* less than 1, received 1"),
        ("two_stage.class_weight", "balance", "two_stage.class_weight: .*'balanced', received 'balance'"),
        ("two_stage.sampling", "random", "two_stage.sampling: .*'shuffle', 'balanced', .*received 'random'"),
        ("two_stage.mix", "cut", "two_stage.mix: .*'none', 'mixup' or 'cutmix', received 'cut'"),
        ("two_stage.mix_alpha", 0, "two_stage.mix_alpha: .* greater than 0, received 0"),
        ("two_stage.head.l2", -1, "two_stage.head.l2: .* greater than or equal to 0, received -1"),
        ("two_stage.head.batch_norm", 1, "two_stage.head.batch_norm: .* boolean, received 1"),
        ("two_stage.fine_tune", {"layers": 2}, "two_stage: fine_tune .* excludes cached .* inline.fine_tune"),
        ("inline.fine_tune.blocks", ["a", "a"], "inline.fine_tune.blocks: expected each value once"),
        ("ensemble.members", [], "ensemble.members: .* at least 1 item.*, received \\[\\]"),
        ("ensemble.members", ["inline"], "ensemble.members.0: .* linear, two_stage, .*, received 'inline'"),
        ("ensemble.members", ["linear", "linear"], "ensemble.members: expected each value once"),
        ("ensemble.weights", "log_loss", "ensemble.weights: .*'validation', received 'log_loss'"),
        ("metrics.confidence", 1, "metrics.confidence: .* less than 1, received 1"),
        ("predict.tta", -1, "predict.tta: .* greater than or equal to 0, received -1"),
        ("predict.calibration", "platt", "predict.calibration: .*'none' or 'temperature', received 'platt'"),
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
    values = changed("seed", -1) | {"metrics": {"confidence": 7}, "colour": "red"}
    with pytest.raises(ParamsError) as error:
        parse_params(values)
    found = re.findall(r"^  ([\w.]+):", str(error.value), re.MULTILINE)
    assert sorted(found) == ["colour", "metrics.calibration_bins", "metrics.confidence", "seed"]


# --- the file ------------------------------------------------------------------------------------


def test_it_is_read_as_yaml_1_2_as_dvc_reads_it(tmp_path: Path) -> None:
    text = "a: [yes, no, on, 'null']\nb: [010, 0o10, 1e-05, 1e5, 1_000]\nc: [~, null, TRUE]\nd:\ne: 1:30\n"
    (tmp_path / "params.yaml").write_text(text)
    values = read_params(tmp_path / "params.yaml")
    assert values["a"] == ["yes", "no", "on", "null"]
    assert values["b"] == [10, 8, 1e-05, 1e5, 1000]
    assert values["c"] == [None, None, True]
    assert values["e"] == "1:30"
    assert values == load_yaml(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "override", ["split.classes=[yes,no]", "split.classes=['null','010']", "split.max_per_class={no: 5}"]
)
def test_class_names_that_look_like_other_values_stay_what_dvc_wrote(tmp_path: Path, override: str) -> None:
    file = copied(tmp_path)
    apply_overrides(file, [override])
    found = load_params({"split": SplitParams}, file).split
    assert found.classes in (None, ("yes", "no"), ("null", "010"))
    assert found.max_per_class in (None, {"no": 5})


BOMB = "a: &a [0, 0]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [0\n", r"cannot be read as YAML 1\.2, line 2: expected ',' or '\]'.*; correct it there$"),
        ("seed: 0\n\tdataset: demo\n", r"line 2: found character '\\t' that cannot start any token; correct"),
        ("seed: 0\0\n", "unacceptable character #x0000: .*; correct it there$"),
        ("seed: 0\n---\nseed: 1\n", "line 2: but found another document; correct it there$"),
        ("seed: 0\nseed: 1\n", 'line 2: found duplicate key "seed" with value "1".*; correct it there$'),
        ("a:\n  b: 0\n  b: 1\n", 'line 3: found duplicate key "b"'),
        (
            "a: 1\nb: &x {c: 1}\n",
            "line 2: found the anchor or alias 'x', .* DVC lose a -S: write its value out",
        ),
        ("a: 1\nb: *x\n", "line 2: found the anchor or alias 'x'"),
        ("a: 1\nb: {<<: *x}\n", "line 2: found the anchor or alias 'x'"),
        (BOMB, "line 1: found the anchor or alias 'a'"),
        ("seed: !!bool x\n", "line 1: found the tag tag:yaml.org,2002:bool: remove it"),
        ("? - :", "line 1: found a key that is a list or a block: expected text"),
        ("%YAML 1.1\n---\nseed: 010\n", "line 1: found '%', which DVC may take otherwise; remove it$"),
        ("\ufeff%YAML 1.3\n---\nseed: 0\n", r"line 1: found '\\ufeff%', which DVC may take otherwise"),
        ("seed: 0\n%YAML 1.1\n", "line 2: found '%', which DVC may take otherwise"),
        ("seed: \u2028dataset: demo\n", r"line 1: found '\\u2028', which DVC may take otherwise"),
        ("seed: 0\n\ufeffdataset: demo\n", r"line 2: found '\\ufeff', which DVC may take otherwise"),
        ('seed: "\\Uffffffff"\n', "cannot be read as YAML 1.2: .* too large .*; correct it there$"),
        ('a: 0\nb: "c\\0"\n', "line 2: found a character that is in no text or path: remove it"),
        ('a: "\\ud800"\n', "line 1: found a character that is in no text or path"),
        ("seed: 2026-99-99\n", "cannot be read as YAML 1.2: month must be in 1..12; correct it there$"),
        ("seed: " + "9" * 5000, "line 1: found a value of 5000 characters, expected at most 3500; correct"),
        ("seed: 0x" + "f" * 3600, "line 1: found a value of 3602 characters, expected at most 3500; correct"),
        ("seed: " + "[" * 3000 + "]" * 3000, "is nested too deeply; expected a few levels of blocks$"),
        ("{a: " * 3000 + "}" * 3000, "is nested too deeply; expected a few levels of blocks$"),
        ("", "expected `key: value` lines, received nothing; restore it from Git$"),
        ("# seed\n", "expected `key: value` lines, received nothing; restore it from Git$"),
        ("- seed\n", "expected `key: value` lines, received a list; restore it from Git$"),
        ("seed\n", "expected `key: value` lines, received a str; restore it from Git$"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused_in_one_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=rf"^params\.yaml.*{message}") as error:
        load_params({"seed": Seed}, file)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"cannot read .*params\.yaml \(No such file or directory\); restore"
    ):
        load_params({"seed": Seed}, tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"seed: \xff\n")
    with pytest.raises(ParamsError, match=r"params\.yaml is not UTF-8 .*; save it as UTF-8"):
        load_params({"seed": Seed}, tmp_path / "params.yaml")


def a_folder(file: Path) -> None:
    file.mkdir()


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def a_huge_file(file: Path) -> None:
    file.write_text("# \n" * 400_000 + "seed: 0\n")


@pytest.mark.parametrize("make", [a_folder, a_pipe, a_device, a_huge_file])
def test_what_is_no_file_of_a_size_to_read_is_refused_at_once(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "params.yaml")
    with pytest.raises(
        ParamsError, match=r"cannot read .*params\.yaml \(no file of at most 1000000 bytes\);"
    ):
        load_params({"seed": Seed}, tmp_path / "params.yaml")


def test_the_largest_number_that_is_read_can_be_printed() -> None:
    values = parse_yaml(f"seed: 0x{'f' * 3498}")
    with pytest.raises(ParamsError, match=r"seed: .* less than 4294967296, received \d{300}$"):
        parse_params(DEFAULTS | values)


def test_what_was_received_is_printed_in_part_and_keys_so_that_they_can_be_told_apart() -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(DEFAULTS | {"\u200bseed": [0] * 1000, "seeds": [0] * 1000})
    lines = str(error.value).splitlines()[1:]
    assert len(lines) == 2
    assert all(len(line) < 700 for line in lines)
    assert any(line.startswith(r"  '\u200bseed': unknown key") for line in lines)


@given(st.text(st.sampled_from("ab01:,-[]{}&*!|>'\"#%@`?~.\n\t \\\0é"), max_size=30))
def test_any_text_gives_values_or_a_sentence(text: str) -> None:
    try:
        parse_params(parse_yaml(text))
    except ParamsError as error:
        assert str(error).startswith("params.yaml")  # noqa: PT017


# --- a stage's share of it -----------------------------------------------------------------------


def test_a_stage_gets_only_what_it_names() -> None:
    params = load_params({"seed": Seed, "split.validation": float}, FILE)
    assert vars(params) == {"seed": DEFAULTS["seed"], "validation": DEFAULTS["split"]["validation"]}
    with pytest.raises(AttributeError):
        _ = params.backbone


def test_row_is_the_backbone_that_is_selected(tmp_path: Path) -> None:
    assert load_params(ROW, FILE).row == parse_params(DEFAULTS).backbones[DEFAULTS["backbone"]]
    dump_yaml(tmp_path / "params.yaml", changed("backbone", "resnet50"))
    assert load_params(ROW, tmp_path / "params.yaml").row.application == "ResNet50"


@pytest.mark.parametrize("backbone", ["vgg", ["vgg19"], None, 19])
def test_a_backbone_that_has_no_row(tmp_path: Path, backbone: Any) -> None:
    dump_yaml(tmp_path / "params.yaml", changed("backbone", backbone))
    message = rf"  backbone must be one of .*vgg16.*, not {re.escape(repr(backbone))}"
    with pytest.raises(ParamsError, match=message):
        load_params(ROW, tmp_path / "params.yaml")


def test_a_fault_in_what_the_stage_does_not_use_does_not_stop_it(tmp_path: Path) -> None:
    """`graft params` checks everything; a stage depends on no schema but its own."""
    file = tmp_path / "params.yaml"
    dump_yaml(file, changed("metrics.confidence", 7))
    assert load_params({"seed": Seed}, file).seed == DEFAULTS["seed"]
    with pytest.raises(ParamsError, match=r"metrics\.confidence: .* less than 1, received 7"):
        load_params({"metrics": Metrics}, file)


def test_every_fault_in_what_the_stage_uses_is_listed_at_once(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("seed: -1\nfeatures: 3\nweights: ''\nbackbones: {}\n")
    schemas = {"seed": Seed, "features.views": int, "weights": Text, "metrics": Metrics, **ROW}
    with pytest.raises(ParamsError) as error:
        load_params(schemas, file)
    assert str(error.value).splitlines() == [
        "params.yaml is not valid:",
        "  seed: input should be greater than or equal to 0, received -1",
        "  features.views: missing; add it (the commented default is in the repository's params.yaml)",
        "  weights: string should have at least 1 character, received ''",
        "  metrics: missing; add it (the commented default is in the repository's params.yaml)",
        "  backbone: missing; add it (the commented default is in the repository's params.yaml)",
    ]


# --- values --------------------------------------------------------------------------------------


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

    Deeper keys, in the list of layers, are arguments of Keras.
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
            {"two_stage.class_weight": "balanced", "two_stage.sampling": "undersample"},
            "two_stage: class_weight=balanced and sampling=undersample exclude each other.* set class_weight",
        ),
        (
            {"linear.class_weight": "balanced", "linear.sampling": "smote"},
            "linear: class_weight=balanced and sampling=smote exclude each other.* set one of them to null",
        ),
        *(
            (
                {f"{method}.sampling": "smote"},
                f"{method}: sampling=smote .* trains on pixels; set sampling to",
            )
            for method in ("inline", "scratch", "distilled")
        ),
        (
            {"scratch.patience": 3, "scratch.schedule.name": "reduce_on_plateau"},
            "scratch: patience=3 stops training before schedule.patience=3 could .* set patience to more",
        ),
        (
            {"inline.fine_tune.blocks": ["block5"], "inline.fine_tune.layers": 3},
            r"inline.fine_tune: blocks=\['block5'\] and layers=3 exclude each other; set blocks to \[\] or",
        ),
        (
            {"backbones.mobilenet_v2.pooling": "avg", "two_stage.feature_augmentation.zoom": 0.1},
            r"two_stage.feature_augmentation.zoom=0.1 .* backbone's pooling=avg makes vectors; set pooling",
        ),
        (
            {"backbones.mobilenet_v2.pooling": "max", "two_stage_views.mix": "cutmix"},
            "two_stage_views.mix=cutmix .* backbone's pooling=max makes vectors; set pooling to none",
        ),
        (
            {"backbone": "vgg19"},
            r"weights=bundled: expected a backbone that has bundled weights \(mobilenet_v2\), received "
            "application='VGG19'; set backbone to such a one, or weights to imagenet",
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


# --- changed by `dvc exp run -S` -----------------------------------------------------------------


def copied(folder: Path) -> Path:
    file = folder / "params.yaml"
    file.write_text(FILE.read_text(encoding="utf-8"), encoding="utf-8")
    return file


def comments(file: Path) -> Counter[str]:
    return Counter(re.findall("#.*", file.read_text(encoding="utf-8")))


def look_up(values: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        values = values[part]
    return values


PATHS = [path for path in leaves(DEFAULTS) if path[:1] != ("backbones",) or path[1:2] == ("vgg19",)]
LISTS = [path for path in PATHS if isinstance(look_up(DEFAULTS, path), list)]
NULLABLE = [
    ("folder", "encoding"),
    ("split", "classes"),
    ("split", "max_per_class"),
    ("backbones", "vgg19", "layer"),
    ("linear", "sampling"),
    *[path for path in PATHS if path[-1] in ("global_clipnorm", "class_weight", "C")],
    *[path for path in PATHS if path[-1] == "patience" and path[-2] != "schedule"],
]


def test_the_lists_and_the_nullable_values_are_all_of_them() -> None:
    assert len(LISTS) >= 11
    assert {path for path in PATHS if look_up(DEFAULTS, path) is None} <= set(NULLABLE)


@pytest.mark.parametrize("at_once", long_but_for([True], [False, True]))
def test_dvc_can_empty_every_list_and_null_every_value(tmp_path: Path, at_once: bool) -> None:
    """Whatever was set before: DVC writes lists back in block style, and the file must bear that, too."""
    file = copied(tmp_path)
    expected = copy.deepcopy(DEFAULTS)
    overrides = []
    for path, empty in [*((path, []) for path in LISTS), *((path, None) for path in NULLABLE)]:
        look_up(expected, path[:-1])[path[-1]] = empty
        overrides.append(f"{'.'.join(path)}={'null' if empty is None else '[]'}")
    for chosen in [overrides] if at_once else [[override] for override in overrides]:
        apply_overrides(file, chosen)
        assert parse_yaml(file.read_text(encoding="utf-8"))
    assert read_params(file) == expected
    assert comments(file) == comments(FILE)
    apply_overrides(file, ["seeds=[1, 2]", "scratch.layers=[{Flatten: {}}, {Dense: {units: 3}}]"])
    assert read_params(file)["scratch"]["layers"] == [{"Flatten": {}}, {"Dense": {"units": 3}}]
    assert comments(file) == comments(FILE)


def test_every_list_is_in_flow_style_with_its_comment_above() -> None:
    """Beside its key, a comment makes DVC write a broken file after ``-S key=[]``."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if re.match(r" *- ", line)]
    assert not [line for line in lines if re.match(r" *(\w+: \[|classes:).*#", line)]
