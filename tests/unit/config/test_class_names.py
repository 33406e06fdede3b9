"""Whatever a class is called, what `-S` writes is what graft reads."""

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import dump_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from graft.config.data import SplitParams
from graft.config.load import load_params
from graft.report.provenance import show_value
from helpers.splits import DEFAULTS

TRAPS = [
    *(
        "yes",
        "no",
        "on",
        "null",
        "~",
        "true",
        "NaN",
        "inf",
        "007",
        "010",
        "5",
        "-1",
        "+1",
        "1_000",
        "1e3",
        ".5",
    ),
    *(
        "0x1F",
        "0o7",
        "1.0",
        "1:30",
        "2024-01-01",
        "?",
        "-",
        "<<",
        "=",
        "",
        " a ",
        "a, b",
        "a: b",
        "#c",
        "[b]",
    ),
    *("{a}", "!x", "&a", "*b", "%c", "@d", "`e`", "|", ">", "'q'", '"dq"', "it's", "\\", "ü", "日本", "😀"),
]
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters="$\u2028\u2029\ufeff"),
    max_size=9,
).filter(lambda text: text != "???")  # OmegaConf's word for a missing value
NAMES = st.lists(st.sampled_from(TRAPS) | TEXT, min_size=2, max_size=4, unique=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("params") / "params.yaml"


def applied(file, key, value):
    """The block `split` after DVC has written a value of it."""
    dump_yaml(file, {"split": DEFAULTS})
    apply_overrides(file, [f"split.{key}={show_value(value)}"])
    return load_params({"split": SplitParams}, file).split


@settings(max_examples=100, deadline=None)
@given(NAMES)
def test_classes_of_any_name(file, names):
    assert applied(file, "classes", names).classes == tuple(names)


@settings(max_examples=100, deadline=None)
@given(NAMES)
def test_limits_of_classes_of_any_name(file, names):
    limits = {name: n for n, name in enumerate(names, 1)}
    assert applied(file, "max_per_class", [[*pair] for pair in limits.items()]).max_per_class == limits
    dump_yaml(file, {"split": DEFAULTS | {"max_per_class": limits}})  # as written by hand
    assert load_params({"split": SplitParams}, file).split.max_per_class == limits


def test_limits_of_classes_that_are_numbers(file):
    assert applied(file, "max_per_class", {"0": 5, "no": 6}).max_per_class == {"0": 5, "no": 6}


@pytest.mark.parametrize(
    "limits", [{1e3: 5}, {None: 5}, {True: 5}, "{'no': 5}", [["a", 5], ["a", 6]], [5], [[]]]
)
def test_limits_that_are_not_as_they_were_typed_are_an_error(limits):
    with pytest.raises(
        ValidationError, match=r'or \[\["class", number\], ...\] where a name is no plain word'
    ):
        TypeAdapter(SplitParams).validate_python(DEFAULTS | {"max_per_class": limits})
