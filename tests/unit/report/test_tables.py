"""The comparison as a table: the same on the page and in a terminal of 80 columns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from graft.evaluation.compare import compare
from graft.methods.registry import METHODS
from graft.report.current import Current
from graft.report.tables import compare_methods
from graft.report.terminal import print_table, print_tests
from graft.report.words import describe_seeds, describe_test
from helpers.comparison import (
    FOUR,
    TIMING,
    make_comparison,
    make_facts,
    make_frame,
    make_metrics,
    make_timing,
)

SEEDS = {"two_stage": [0.95, 1.0], "two_stage_views": [0.95, 0.9], "scratch": [0.3, 0.25]}
FIGURES = st.fixed_dictionaries(
    {
        "test_accuracy": st.floats(0, 1),
        "validation_accuracy": st.sampled_from([0.9404, 0.9396, 0.5]),
        "trainable_params": st.integers(0, 10**9),
        "total_params": st.integers(0, 10**9),
        "model_bytes": st.integers(0, 10**9),
        "images_embedded": st.integers(0, 10**6),
    }
)


def printed(comparison, timing, width=80):
    console = Console(width=width)
    with console.capture() as capture:
        current = Current(comparison, [], "photos", None)
        print_table(current, timing, console)
        print_tests(current, console)
    return capture.get()


def unwrapped(text):
    return " ".join(text.split())


@settings(deadline=None, max_examples=50)
@given(st.lists(FIGURES, min_size=len(METHODS), max_size=len(METHODS)), st.booleans())
def test_the_terminal_stars_what_the_page_stars(figures, timed):
    comparison, timing = make_comparison(), TIMING if timed else {}
    rows = [row | changes for row, changes in zip(comparison["methods"], figures, strict=True)]
    comparison |= {"methods": rows}
    table = compare_methods(comparison, timing)
    lines = printed(comparison, timing, 200).splitlines()
    for line, (name, cells) in zip(lines[4:], table.rows, strict=False):
        assert line.split() == [name, *("*" * cell.best + cell.text for cell in cells)]
    for column in table.columns:
        best = {cell.text for cell in column.cells if cell.best}
        assert len(best) <= 1
        assert best.isdisjoint(cell.text for cell in column.cells if not cell.best)


def test_values_that_are_equal_as_shown_are_equally_good():
    comparison = make_comparison(methods=FOUR)
    accuracies = zip(comparison["methods"], [0.9404, 0.9396, 0.9394, 0.5], strict=True)
    comparison |= {"methods": [row | {"test_accuracy": accuracy} for row, accuracy in accuracies]}
    cells = compare_methods(comparison, {}).columns[0].cells
    assert [(cell.text, cell.best) for cell in cells] == [
        ("94.0", True),
        ("94.0", True),
        ("93.9", False),
        ("50.0", False),
    ]
    assert printed(comparison, {}).count("*94.0") == 2


def test_what_is_unknown_is_a_dash():
    timing = {stage: times for stage, times in TIMING.items() if stage != "train_inline"}
    *_, prepare, train = compare_methods(make_comparison(methods=FOUR), timing).columns
    assert [cell.text for cell in prepare.cells] == ["11.0", "63.0", "-", "0.5"]
    assert [cell.text for cell in train.cells] == ["12.0", "12.5", "-", "33.0"]
    assert [cell.best for cell in train.cells] == [True, False, False, False]


def test_the_seeds_have_a_column_on_the_page():
    headers = [column.header for column in compare_methods(make_comparison(methods=FOUR), {}).columns]
    table = compare_methods(make_comparison({"two_stage": [0.95]}, methods=FOUR), {})
    (own,) = [column for column in table.columns if column.header not in headers]
    assert [cell.text for cell in own.cells] == ["97.5 ± 3.5", "100.0", "85.0", "25.0"]


def test_the_table_fits_80_columns():
    lines = printed(make_comparison(methods=FOUR), TIMING).splitlines()
    assert max(map(len, lines)) <= 80
    assert [" ".join(line.split()) for line in lines[4:8]] == [
        "two_stage *100.0 90.0-110.0 *100.0 3.31 23.3 99.1 1,400 11.0 *12.0",
        "two_stage_views *100.0 90.0-110.0 *100.0 3.31 23.3 99.1 1,400 63.0 12.5",
        "inline 85.0 75.0-95.0 85.0 3.31 23.3 99.1 1,400 20.0 1,480",
        "scratch 25.0 15.0-35.0 25.0 *0.28 *0.28 *1.2 *0 *0.5 33.0",
    ]


def test_seconds_that_the_cache_saved_are_named():
    saved = "1,200 of 1,200 features came from the cache"
    assert saved not in printed(make_comparison(), TIMING)
    assert saved in unwrapped(printed(make_comparison(), make_timing({}, cached=600)))


def test_one_method_is_the_best_of_nothing():
    one = {"inline": (make_frame([True]), make_facts("inline"))}
    text = printed(compare(one, {"inline": make_metrics(1.0)}), {})
    assert "*" not in text.replace("* best of its column", "")
    assert "McNemar" not in text


@pytest.mark.parametrize("weights", ["imagenet", "[bold]w[/x].h5"])
def test_the_table_says_whether_the_backbone_was_pretrained(weights):
    """A name with markup is printed as it is."""
    text = printed(make_comparison(pretrained=True, weights=weights), TIMING)
    assert text.startswith(f"Dataset photos, backbone vgg19, weights {weights}\n")
    assert "NOT" not in text
    assert "backbone vgg19 was NOT pre-trained (weights: random)" in printed(make_comparison(), TIMING)


def test_the_seeds_are_described_in_80_columns():
    assert "sd" not in printed(make_comparison(), TIMING)
    comparison = make_comparison(SEEDS)
    text = printed(comparison, TIMING)
    assert max(map(len, text.splitlines())) <= 80
    said = [describe_test(pair, 0.05) for pair in comparison["pairs"]] + describe_seeds(comparison)
    places = [unwrapped(text).index(sentence) for sentence in said]
    assert places == sorted(places)


def test_only_methods_of_several_seeds_have_noise():
    assert describe_seeds(make_comparison(SEEDS, methods=FOUR)) == [
        "two_stage: 98.3 ± 2.9 % (3 seeds: 100.0, 95.0, 100.0)",
        "two_stage_views: 95.0 ± 5.0 % (3 seeds: 100.0, 95.0, 90.0)",
        "inline: 85.0 % (1 seed)",
        "scratch: 26.7 ± 2.9 % (3 seeds: 25.0, 30.0, 25.0)",
        "two_stage vs two_stage_views: +3.3 (-12.0 to +18.7): within the seeds' noise",
        "two_stage vs scratch: +71.7 (+62.3 to +81.0): exceeds the seeds' noise",
        "two_stage_views vs scratch: +68.3 (+53.0 to +83.7): exceeds the seeds' noise",
    ]
    assert len(describe_seeds(make_comparison({"two_stage": [0.95]}))) == len(METHODS)
    every = make_comparison({method: [0.5] for method in METHODS})
    assert len(describe_seeds(every)) == len(METHODS) + len(every["pairs"])
