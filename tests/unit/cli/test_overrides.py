"""What is typed after `-S`: it arrives as it was meant, or is answered with what is legal."""

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


@settings(deadline=None)
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
        ("linear={pooling: avg, normalise: l2, C: null, class_weight: null}", "linear", None),
    ],
)
def test_other_values_are_what_hydra_reads(typed, key, value):
    values = applied(typed)
    assert values[key] == (value or {"pooling": "avg", "normalise": "l2", "C": None, "class_weight": None})
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
    (read,) = read_overrides(["~split.classes"], PARAMS)
    assert "classes" not in next(apply([read], PARAMS))["split"]


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


@pytest.mark.parametrize("name", ["get_hydra_sweeps", "to_hydra_overrides"])
def test_the_private_parts_of_dvc_that_are_used_are_there(name):
    """`graft.cli.overrides` reads a `-S` by them as DVC does; pyproject.toml bounds DVC's version."""
    assert callable(pkgutil.resolve_name(f"dvc.utils.hydra.{name}"))
