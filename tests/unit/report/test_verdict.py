"""The verdict: which method, why, and how sure that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.evaluation.compare import compare
from graft.report.verdict import judge
from graft.report.words import describe_means
from helpers.comparison import (
    FOUR,
    TIMING,
    make_comparison,
    make_facts,
    make_frame,
    make_metrics,
    make_timing,
)

LOSSES = dict.fromkeys(FOUR, 0.5)


def with_validation(accuracies, comparison=None):
    """A comparison whose methods have these accuracies on the validation images."""
    comparison = comparison or make_comparison(methods=tuple(accuracies))
    rows = [row | {"validation_accuracy": accuracies[row["method"]]} for row in comparison["methods"]]
    return comparison | {"methods": rows}


ACCURACIES = st.fixed_dictionaries({method: st.sampled_from([0.5, 0.7, 0.9]) for method in FOUR})


@given(ACCURACIES, st.permutations([0.1, 0.2, 0.3, 0.4]))
def test_validation_chooses_and_the_log_loss_where_it_does_not(accuracies, losses):
    losses = dict(zip(FOUR, losses, strict=True))
    verdict = judge(with_validation(accuracies), losses, TIMING)
    ranked = sorted(FOUR, key=lambda method: (-accuracies[method], losses[method]))
    assert verdict.method == ranked[0]
    assert verdict.file == f"models/{ranked[0]}/model.keras"
    assert verdict.runner_up[0].startswith(f"{ranked[1]}, ")
    equal = list(accuracies.values()).count(accuracies[ranked[0]]) > 1
    assert ("of these the lowest log loss" in verdict.reasons[0]) == equal


def test_it_says_what_the_test_images_tell():
    """Make 20 images, of which inline is right on 17, scratch on 5, and the others on all."""
    accuracies = {"two_stage": 0.9, "two_stage_views": 0.8, "inline": 0.7, "scratch": 0.6}
    verdict = judge(with_validation(accuracies), LOSSES, TIMING)
    assert verdict == (
        "two_stage",
        "models/two_stage/model.keras",
        "100.0 % of the 20 test images (95 % interval 90.0-110.0)",
        (
            "It has the highest validation accuracy, 90.0 %; the test images had no part in this choice.",
            "The test images do not tell it from two_stage_views and inline: any difference is within "
            "chance.",
            "Of these, two_stage itself takes the least time.",
            "It is better than scratch by more than chance explains.",
        ),
        (
            "two_stage_views, 100.0 % on test: two_stage and two_stage_views are right on the same images: "
            "no significant difference, p = 1.0.",
            "One training run, with all before it, takes 75.5 s instead of 23.0 s; its model is as large.",
        ),
    )


def test_a_choice_that_the_test_images_contradict_is_called_one():
    verdict = judge(with_validation({"two_stage": 0.6, "scratch": 0.7}), LOSSES, {})
    assert verdict.method == "scratch"
    assert "On the test images two_stage did better, by more than chance explains." in verdict.reasons
    assert verdict.runner_up[1] == "Its model has 99.1 MB instead of 1.2 MB."


def test_a_faster_one_that_is_as_good_is_named_unless_its_seconds_are_a_lower_bound():
    comparison = with_validation({"two_stage": 0.6, "inline": 0.7})
    said = "Of these, two_stage takes the least time: 23.0 s for one training run, not 1,500 s."
    assert said in judge(comparison, LOSSES, TIMING).reasons
    for timing in (make_timing({}, cached=3), {}):
        assert not [reason for reason in judge(comparison, LOSSES, timing).reasons if "least time" in reason]


def test_several_seeds_have_a_spread():
    accuracies = {"two_stage": 0.9, "inline": 0.7}
    several = make_comparison({"two_stage": [0.95]}, methods=tuple(accuracies))
    verdict = judge(with_validation(accuracies, several), LOSSES, {})
    assert "Over its 2 seeds the test accuracy is 97.5 ± 3.5 %; the file is of the first." in verdict.reasons


@pytest.mark.parametrize("method", FOUR)
def test_one_method_has_no_runner_up(method):
    one = compare({method: (make_frame([True]), make_facts(method))}, {method: make_metrics(1.0)})
    verdict = judge(one, {method: 0.5}, TIMING)
    assert verdict.reasons == ("It is the only method; its validation accuracy is 100.0 %.",)
    assert verdict.runner_up == ()


@pytest.mark.parametrize(
    ("mean", "members", "said"),
    [
        (
            "two_stage",
            {"inline": 1, "scratch": 1},
            "2 heads (of inline and scratch), is not clearly better than inline",
        ),
        ("two_stage", {"scratch": 1}, "1 head (of scratch), is better than scratch"),
        (
            "scratch",
            {"two_stage": 1, "inline": 2},
            "3 heads (of two_stage and inline), is worse than two_stage",
        ),
    ],
)
def test_a_mean_is_compared_with_the_best_of_its_members_by_validation(mean, members, said):
    accuracies = {"two_stage": 0.9, "inline": 0.8, "scratch": 0.7}
    comparison = with_validation(accuracies) | {"members": {mean: members}}
    sentence = f"{mean}, the mean of {said}, the best of these on validation"
    assert describe_means(comparison) == [sentence]
    assert f"{sentence}." in judge(comparison, LOSSES, TIMING).reasons
    assert describe_means(comparison | {"pairs": []}) == []
