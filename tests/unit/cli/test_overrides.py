"""Values typed after `-S` arrive as they were meant, or the error names those that are legal."""

import pkgutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.cli.overrides import apply, read_overrides
from graft.config.load import ParamsError, read_params
from helpers.repository import ROOT

PARAMS = read_params(ROOT / "params.yaml")
# What a path may hold, but for `${`; what is in quotes is taken as quoted, and ~ is expanded.
TEXT = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1).filter(
    lambda text: "${" not in text and text[0] not in "\"'~"
)


def applied(*typed):
    return next(apply(read_overrides(typed, PARAMS), PARAMS))


@settings(deadline=None, max_examples=40)
@given(TEXT)
@pytest.mark.parametrize("key", ["source", "weights"])
def test_any_path_arrives_as_it_is(key, text):
    assert applied(f"{key}={text}")[key] == text


@pytest.mark.parametrize("text", ['"a b"', "'a b'"])
def test_what_is_quoted_already_is_not_quoted_again(text):
    assert applied(f"source={text}")["source"] == "a b"


def test_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert applied("source=~/my photos")["source"] == "/home/me/my photos"


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("seed=7", "seed", 7),
        ("params.yaml:seed=7", "seed", 7),
        ("++seed=7", "seed", 7),
        ("seeds=[3, 4]", "seeds", [3, 4]),
        ("linear={pooling: avg, normalise: l2, C: null, class_weight: null, sampling: null}", "linear", None),
    ],
)
def test_other_values_are_what_hydra_reads(typed, key, value):
    values = applied(typed)
    assert values[key] == (value or PARAMS["linear"])
    assert {name for name in PARAMS if values[name] != PARAMS[name]} <= {key}


def test_an_override_of_a_block_leaves_the_given_parameters_alone():
    values = applied("two_stage.head.dropout=0.25")
    assert values["two_stage"]["head"]["dropout"] == 0.25
    assert read_params(ROOT / "params.yaml") == PARAMS


def test_each_value_of_a_sweep_occurs_and_the_sweep_is_passed_on():
    read = read_overrides(["two_stage.epochs=1,2", "seed=choice(5,6)"], PARAMS)
    assert [each.text for each in read] == ["two_stage.epochs=1,2", "seed=choice(5,6)"]
    made = [(values["two_stage"]["epochs"], values["seed"]) for values in apply(read, PARAMS)]
    assert made == [(1, 5), (2, 5), (1, 6)]


def test_a_key_may_be_removed():
    assert "epochs" not in applied("~two_stage.epochs")["two_stage"]


def test_a_block_is_merged_as_dvc_merges_it():
    head = PARAMS["two_stage"]["head"]
    assert applied("two_stage.head={dropout: 0.25}")["two_stage"]["head"] == head | {"dropout": 0.25}


def test_the_last_of_repeated_keys_counts():
    assert applied("seed=1", "seed=2", "~seed", "+seed=3")["seed"] == 3


def test_an_edited_file_with_other_keys_than_text_is_answered_too():
    with pytest.raises(ParamsError, match="has no key 'sed'; did you mean seed"):
        read_overrides(["sed=1"], PARAMS | {1: 2})


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["~seed", "~seed"], "'seed' does not exist"),
        (["two_stage=1", "two_stage.epochs=2"], "-S two_stage=1 -S two_stage.epochs=2: "),
        (["~two_stage.head", "two_stage.head.dropout=1"], "Could not override 'two_stage.head.dropout'"),
        (["+seed=1"], "An item is already at 'seed'"),
        (["source=???"], "Missing mandatory value: source"),
        (["split.classes=['???', b]"], "Missing mandatory value"),
        (["source=" + "a" * 4000], "a value of 4000 characters, expected at most 3500"),
        (["source=a\u2028b"], "which DVC may take otherwise"),
        (["source=\udc80"], "a character that is in no text or path"),
    ],
)
def test_what_dvc_would_refuse_or_leave_unreadable_is_refused(typed, said):
    with pytest.raises(ParamsError) as error:
        applied(*typed)
    assert said in str(error.value)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("text", ["interval(0,1)", "glob(a)"])
def test_what_dvc_cannot_sweep_is_taken_as_text(text):
    assert applied(f"seed={text}")["seed"] == text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "two_stage.hed.dropout=1",
            "two_stage has no key 'hed'; did you mean two_stage.head?; legal",
        ),
        ("two_stage.dropout=1", "did you mean two_stage.head.dropout?"),
        ("dropout=1", "params.yaml has no key 'dropout'; did you mean "),
        ("xyz=1", "params.yaml has no key 'xyz'; legal here: seed, dataset"),
        ("seeds.0=1", "seeds=[0, 1, 2] is no block of keys; set it whole: -S seeds=..."),
        ("seed", "expected key=value"),
        ("=1", "expected key=value"),
        ("source=${HOME}/x", "takes ${...} for a reference"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_what_can(typed, said):
    with pytest.raises(ParamsError) as error:
        read_overrides([typed], PARAMS)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["apply_overrides", "get_hydra_sweeps", "to_hydra_overrides"])
def test_the_private_parts_of_dvc_that_are_used_are_there(name):
    """`graft.cli.overrides` reads a `-S` by them as DVC does; pyproject.toml bounds DVC's version."""
    assert callable(pkgutil.resolve_name(f"dvc.utils.hydra.{name}"))
