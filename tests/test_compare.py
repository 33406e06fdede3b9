import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from graft.compare import METHODS, adjust_holm, compare, compare_pairs, mcnemar
from graft.predictions import SCORE
from graft.table import describe_pair, notes, print_comparison, split_seconds

BOOLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=10)
TIMING = {
    "extract_features": {"from_store": 0, "from_head": 0, "seconds_plain": 10.0, "seconds_views": 50.0},
    "train_two_stage": {"seconds_preparation": 1.0, "seconds_training": 12.0},
    "train_two_stage_views": {"seconds_preparation": 3.0, "seconds_training": 12.5},
    "train_inline": {"seconds_preparation": 20.0, "seconds_training": 1480.0},
    "train_scratch": {"seconds_preparation": 0.5, "seconds_training": 33.0},
}


def make_frame(right, n_validation=4):
    """Predictions of two classes that are right where told; every second test image is a dog."""
    n = len(right) + n_validation
    truth = np.arange(n) % 2
    decided = np.where([*[True] * n_validation, *right], truth, 1 - truth)
    return pd.DataFrame(
        {
            "key": [f"{i:064x}" for i in range(n)],
            "split": ["validation"] * n_validation + ["test"] * len(right),
            "y_true": np.array(["cat", "dog"])[truth],
            SCORE + "cat": np.where(decided == 0, 0.8, 0.2),
            SCORE + "dog": np.where(decided == 1, 0.8, 0.2),
        }
    )


def make_facts(method, **changes):
    scratch = method == "scratch"
    return {
        "method": method,
        "backbone": "none" if scratch else "vgg19",
        "weights": "none" if scratch else "random",
        "pretrained": False,
        "n_seen_train": 10,
        "trainable_params": 281_203 if scratch else 3_310_081,
        "total_params": 281_203 if scratch else 23_342_657,
        "model_bytes": 1_200_000 if scratch else 99_100_000,
        "images_embedded": 0 if scratch else 1400,
        "epochs": 20,
        "best_epoch": 7,
    } | changes


def make_metrics(accuracy):
    split = {"accuracy": accuracy, "accuracy_low": accuracy - 0.1, "accuracy_high": accuracy + 0.1}
    return {"test": split, "validation": split, "n_seen": {"test": 20}, "confidence": 0.95}


def make_comparison(**facts):
    rights = [[True] * 20, [True] * 20, [True] * 17 + [False] * 3, [False] * 15 + [True] * 5]
    return compare(
        {m: (make_frame(r), make_facts(m, **facts)) for m, r in zip(METHODS, rights, strict=True)},
        {m: make_metrics(sum(r) / 20) for m, r in zip(METHODS, rights, strict=True)},
    )


def printed(comparison, timing, width):
    console = Console(width=width)
    with console.capture() as capture:
        print_comparison(comparison, timing, console)
    return capture.get()


def test_one_row_a_method_in_the_order_given():
    comparison = make_comparison()
    assert [row["method"] for row in comparison["methods"]] == list(METHODS)
    assert comparison["methods"][2] == {
        "method": "inline",
        "validation_accuracy": 0.85,
        "test_accuracy": 0.85,
        "test_accuracy_low": 0.75,
        "test_accuracy_high": 0.95,
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
    assert comparison["test_accuracy"] == dict(zip(METHODS, [1, 1, 0.85, 0.25], strict=True))


def test_every_pair_is_tested_and_no_second_is_in_it():
    comparison = make_comparison()
    pairs = [(pair["first"], pair["second"]) for pair in comparison["pairs"]]
    assert pairs == list(itertools.combinations(METHODS, 2))
    assert "seconds" not in json.dumps(comparison)


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


def test_seconds_count_the_extraction_as_preparation():
    assert split_seconds("two_stage", TIMING) == (11, 12)
    assert split_seconds("two_stage_views", TIMING) == (63, 12.5)
    assert split_seconds("inline", TIMING) == (20, 1480)
    assert split_seconds("scratch", TIMING) == (0.5, 33)
    assert split_seconds("inline", {}) == (None, None)
    without = {stage: seconds for stage, seconds in TIMING.items() if stage != "extract_features"}
    assert split_seconds("two_stage", without) == (None, 12)


def test_the_table_fits_80_columns():
    lines = printed(make_comparison(), TIMING, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert [" ".join(line.split()) for line in lines[3:7]] == [
        "two_stage *100.0 90.0-110.0 *100.0 3.31M 23.3M 99.1 1,400 11.0 *12.0",
        "two_stage_views *100.0 90.0-110.0 *100.0 3.31M 23.3M 99.1 1,400 63.0 12.5",
        "inline 85.0 75.0-95.0 85.0 3.31M 23.3M 99.1 1,400 20.0 1,480",
        "scratch 25.0 15.0-35.0 25.0 *0.28M *0.28M *1.2 *0 *0.5 33.0",
    ]


def test_the_table_without_timing_shows_dashes():
    text = printed(make_comparison(), {}, 120)
    assert [line.split()[-2:] for line in text.splitlines()[3:7]] == [["-", "-"]] * 4
    stored = {
        **TIMING,
        "extract_features": {**TIMING["extract_features"], "from_store": 1100, "from_head": 100},
    }
    assert "came from the store" not in printed(make_comparison(), TIMING, 120)
    assert "1,200 features came from the cache" in printed(make_comparison(), stored, 120)


def test_equal_values_are_not_marked():
    text = printed(
        compare({"inline": (make_frame([True]), make_facts("inline"))}, {"inline": make_metrics(1.0)}),
        {},
        120,
    )
    assert "*" not in text.replace("* best of its column", "")
    assert "McNemar" not in text


def test_the_table_says_whether_the_backbone_was_pretrained():
    rows = make_comparison()["methods"]
    assert (
        "backbone vgg19 was NOT pre-trained (weights: random): this shows that the machinery works, "
        "not what transfer is worth"
    ) in list(notes(rows, {}))
    rows = make_comparison(pretrained=True, weights="imagenet")["methods"]
    assert "backbone vgg19, weights imagenet" in list(notes(rows, {}))
    assert not any("NOT" in note for note in notes(rows, {}))


def test_a_name_with_markup_is_printed_as_it_is():
    assert "weights [bold]w[/x].h5" in printed(
        make_comparison(pretrained=True, weights="[bold]w[/x].h5"), TIMING, 120
    )


def test_verdicts_in_words():
    pair = {"first": "inline", "second": "two_stage", "n_first_only": 14, "n_second_only": 9}
    pair |= {"p_value": 0.404, "p_value_holm": 0.808}
    assert describe_pair(pair, 0.05) == (
        "inline vs two_stage: 14 / 9, p = 0.4 (Holm 0.81): no significant difference"
    )
    assert describe_pair(pair | {"p_value_holm": 0.04}, 0.05).endswith("): inline is better")
    assert describe_pair(pair | {"p_value_holm": 0.04, "n_first_only": 1}, 0.05).endswith(
        "two_stage is better"
    )
