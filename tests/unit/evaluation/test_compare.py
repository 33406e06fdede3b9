import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.evaluation.compare import adjust_holm, compare, compare_pairs, mcnemar
from graft.evaluation.seeds import compare_seeds
from graft.methods.registry import METHODS
from helpers.comparison import (
    FOUR,
    WITHOUT_EPOCHS,
    make_comparison,
    make_facts,
    make_frame,
    make_metrics,
)
from helpers.pages import write_inputs
from helpers.repository import ROOT

BOOLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=10)


def test_one_row_a_method_in_the_order_given():
    comparison = make_comparison()
    assert [row["method"] for row in comparison["methods"]] == list(METHODS)
    (inline,) = (row for row in comparison["methods"] if row["method"] == "inline")
    assert inline == {
        "method": "inline",
        "validation_accuracy": 0.85,
        "test_accuracy": 0.85,
        "test_accuracy_low": 0.75,
        "test_accuracy_high": 0.95,
        "n_seeds": 1,
        "test_accuracy_mean": 0.85,
        "test_accuracy_std": None,
        "n_seen_test": 20,
        "trainable_params": 3_310_081,
        "total_params": 23_342_657,
        "model_bytes": 99_100_000,
        "images_embedded": 1400,
        "epochs": 20,
        "best_epoch": 7,
        "backbone": "vgg19",
        "weights": "random",
        "pretrained": False,
    }
    expected = dict(zip(FOUR, [1, 1, 0.85, 0.25], strict=True))
    assert {method: comparison["test_accuracy"][method] for method in FOUR} == expected


def test_every_pair_is_tested_and_no_second_is_in_it():
    comparison = make_comparison()
    pairs = [(pair["first"], pair["second"]) for pair in comparison["pairs"]]
    assert pairs == list(itertools.combinations(METHODS, 2))
    assert "seconds" not in json.dumps(comparison)


def test_the_stage_writes_whole_epochs_and_leaves_them_empty_where_there_are_none(tmp_path, inputs):
    write_inputs(inputs, tmp_path)
    subprocess.run([sys.executable, ROOT / "stages/compare.py"], cwd=tmp_path, check=True)
    comparison = json.loads((tmp_path / "metrics/comparison.json").read_text())
    rows = pd.read_csv(tmp_path / "metrics/comparison.csv", dtype=str, keep_default_na=False).set_index(
        "method"
    )
    for row in comparison["methods"]:
        expected = ("", "") if row["method"] in WITHOUT_EPOCHS else ("2", "2")
        assert tuple(rows.loc[row["method"], ["epochs", "best_epoch"]]) == expected
        assert row["epochs"] == (int(expected[0]) if expected[0] else None)


def test_mcnemar_by_hand():
    """5 against 1: p = 2 * (1 + 6) / 2**6."""
    first = np.array([True] * 5 + [False] + [True, False])
    second = np.array([False] * 5 + [True] + [True, False])
    assert mcnemar(first, second) == {
        "n_first_only": 5,
        "n_second_only": 1,
        "p_value": pytest.approx(14 / 64),
    }


@given(BOOLS)
@settings(deadline=None)
def test_mcnemar_is_symmetric_and_ignores_agreement(rows):
    first, second = np.array(rows).T
    forth, back = mcnemar(first, second), mcnemar(second, first)
    assert forth["p_value"] == back["p_value"]
    assert (forth["n_first_only"], forth["n_second_only"]) == (back["n_second_only"], back["n_first_only"])
    differ = first != second
    assert mcnemar(first[differ], second[differ]) == forth
    assert mcnemar(first, first)["p_value"] == 1
    assert 0 < forth["p_value"] <= 1


def test_holm_by_hand():
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust_holm([0.6, 0.7]) == [1, 1]
    assert adjust_holm([]) == []


@given(P_VALUES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_holm_keeps_order_and_lies_between_raw_and_bonferroni(p_values, random):
    adjusted = adjust_holm(p_values)
    for p, a in zip(p_values, adjusted, strict=True):
        assert p <= a <= min(1, p * len(p_values))
    ranked = [a for _, a in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert adjust_holm([p_values[i] for i in order]) == [adjusted[i] for i in order]


@given(BOOLS, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_pairs_do_not_depend_on_the_order_of_rows(rows, random):
    first, second = (make_frame(list(right)) for right in zip(*rows, strict=True))
    order = list(range(len(first)))
    random.shuffle(order)
    (pair,) = compare_pairs({"inline": first, "scratch": second})
    assert compare_pairs({"inline": first.iloc[order], "scratch": second}) == [pair]
    assert pair["n_first_only"] == sum(a and not b for a, b in rows)
    assert pair["n_second_only"] == sum(b and not a for a, b in rows)


def test_another_seed_changes_neither_the_first_figures_nor_mcnemar():
    frames = {"inline": make_frame([True] * 14 + [False] * 6), "scratch": make_frame([False, True] * 10)}
    metrics = {"inline": make_metrics(0.7), "scratch": make_metrics(0.5)}
    one = compare({m: (frame, make_facts(m)) for m, frame in frames.items()}, metrics)
    doubled = {
        m: (
            pd.concat([make_frame([m == "scratch"] * 20).assign(seed=3), frame.assign(seed=7)]),
            make_facts(m, seeds=[7, 3]),
        )
        for m, frame in frames.items()
    }
    two = compare(doubled, {"inline": make_metrics(0.7, 0.0), "scratch": make_metrics(0.5, 1.0)})
    for key in ("test_accuracy", "validation_accuracy"):
        assert two[key] == one[key]
    mcnemar_keys = ["first", "second", "n_first_only", "n_second_only", "p_value", "p_value_holm"]
    assert [two["pairs"][0][key] for key in mcnemar_keys] == [one["pairs"][0][key] for key in mcnemar_keys]
    assert two["test_accuracy_by_seed"] == {"inline": [0.7, 0.0], "scratch": [0.5, 1.0]}
    assert [row["n_seeds"] for row in two["methods"]] == [2, 2]
    assert one["pairs"][0]["exceeds_noise"] is None
    assert two["pairs"][0]["exceeds_noise"] is False


def test_a_row_and_a_pair_say_what_the_seeds_say():
    by_seed = {"two_stage": [0.95, 1.0], "scratch": [0.3, 0.25]}
    comparison = make_comparison(by_seed)
    (row,) = (row for row in comparison["methods"] if row["method"] == "two_stage")
    assert (row["n_seeds"], row["test_accuracy_mean"]) == (3, pytest.approx(np.mean([1, 0.95, 1])))
    assert row["test_accuracy_std"] == pytest.approx(np.std([1, 0.95, 1], ddof=1))
    known = [pair for pair in comparison["pairs"] if pair["exceeds_noise"] is not None]
    (expected,) = compare_seeds({"a": [1, 0.95, 1], "b": [0.25, 0.3, 0.25]}, 0.95)
    assert len(known) == 1
    assert known[0].items() >= ({"first": "two_stage", "second": "scratch"} | expected).items()
    assert known[0]["exceeds_noise"]
    json.dumps(comparison, allow_nan=False)


def test_other_test_images_are_refused():
    frame = make_frame([True] * 5)
    message = (
        r"inline and scratch must have predicted the same test images, received 5 and 4 with 1 keys "
        rf"or labels that only one has, e.g. key={frame['key'].iloc[-1]}; run `dvc repro`"
    )
    with pytest.raises(ValueError, match=message):
        compare_pairs({"inline": frame, "scratch": frame.iloc[:-1]})
    with pytest.raises(ValueError, match="received 5 and 5 with 2 keys"):
        compare_pairs({"inline": frame, "scratch": frame.assign(y_true=[*frame["y_true"][:-1], "dog"])})
    with pytest.raises(ValueError, match="received 5 and 10 with 0 keys"):
        compare_pairs({"inline": frame, "scratch": pd.concat([frame, frame])})
