import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from graft.evaluation.compare import METHODS, adjust_holm, compare, compare_pairs, mcnemar
from graft.evaluation.seeds import compare_seeds
from graft.report.terminal import describe_pair, notes, print_comparison, split_seconds
from helpers.comparison import TIMING, make_comparison, make_facts, make_frame, make_metrics

BOOLS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=10)


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
    row = comparison["methods"][0]
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


def test_the_table_says_what_the_seeds_say_in_80_columns():
    assert "Over the seeds" not in printed(make_comparison(), TIMING, 80)
    by_seed = {"two_stage": [0.95, 1.0], "two_stage_views": [0.95, 0.9], "scratch": [0.3, 0.25]}
    text = printed(make_comparison(by_seed), TIMING, 80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    start = lines.index("Over the seeds (mean ± sd of the test accuracy):")
    assert "McNemar" in text[: text.index("Over the seeds")]
    assert lines[start + 1 :] == [
        "  two_stage: 98.3 ± 2.9 % (3 seeds: 100.0, 95.0, 100.0)",
        "  two_stage_views: 95.0 ± 5.0 % (3 seeds: 100.0, 95.0, 90.0)",
        "  inline: 85.0 % (1 seed)",
        "  scratch: 26.7 ± 2.9 % (3 seeds: 25.0, 30.0, 25.0)",
        "Difference of the means in points, 95 % interval (Welch, Bonferroni):",
        "  two_stage vs two_stage_views: +3.3 (-12.0 to +18.7): within the seeds' noise",
        "  two_stage vs scratch: +71.7 (+62.3 to +81.0): exceeds the seeds' noise",
        "  two_stage_views vs scratch: +68.3 (+53.0 to +83.7): exceeds the seeds' noise",
        "  (pairs in which a method has one seed are left out)",
    ]


def test_without_two_methods_of_several_seeds_no_pair_is_judged():
    text = printed(make_comparison({"two_stage": [0.95]}), TIMING, 80)
    assert "two_stage: 97.5 ± 3.5 % (2 seeds: 100.0, 95.0)" in text
    assert "noise" not in text
    assert "(pairs in which a method has one seed are left out)" in text


def test_seeds_of_all_methods_leave_no_pair_out():
    text = printed(make_comparison({method: [0.5] for method in METHODS}), TIMING, 80)
    assert text.count("noise") == 6
    assert "left out" not in text
