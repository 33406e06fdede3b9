import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind

from graft.evaluation.seeds import compare_seeds, welch_interval

# Shares of right images, such as an accuracy is.
ACCURACIES = st.lists(st.integers(0, 200).map(lambda n: n / 200), min_size=2, max_size=6)


@given(ACCURACIES, ACCURACIES, st.sampled_from([0.8, 0.95, 0.99]))
@settings(deadline=None)
def test_the_interval_is_scipys(first, second, confidence):
    assume(len(set(first)) > 1 and len(set(second)) > 1)  # else SciPy warns
    expected = ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    assert welch_interval(first, second, confidence) == pytest.approx(tuple(expected))


def test_the_interval_by_hand():
    """Variances 0.0001 and 0.0003 of three: standard error 0.01155, 3.2 degrees of freedom, t = 3.07."""
    interval = welch_interval([0.79, 0.80, 0.81], [0.88, 0.91, 0.91], 0.95)
    assert interval == pytest.approx((-0.1 - 3.07 * 0.01155, -0.1 + 3.07 * 0.01155), abs=1e-4)


@pytest.mark.parametrize(("second", "exceeds"), [([0.7, 0.7, 0.7], False), ([0.9, 0.9], True)])
def test_seeds_that_are_all_equal_have_no_noise(second, exceeds):
    (pair,) = compare_seeds({"inline": [0.7, 0.7, 0.7], "scratch": second}, 0.95)
    difference = 0.7 - second[0]
    assert pair == {
        "difference": difference,
        "difference_low": difference,
        "difference_high": difference,
        "exceeds_noise": exceeds,
    }


@given(ACCURACIES, st.floats(0, 1))
@settings(deadline=None)
def test_a_method_without_noise_is_a_number_to_compare_with(values, fixed):
    assume(len(set(values)) > 1)
    low, high = welch_interval(values, [fixed] * 3, 0.95)
    expected = ttest_1samp(values, fixed).confidence_interval(0.95)
    assert (low + fixed, high + fixed) == pytest.approx(tuple(expected))


@given(ACCURACIES, ACCURACIES)
@settings(deadline=None)
def test_a_pair_is_antisymmetric_and_judged_by_its_interval(first, second):
    (forth,) = compare_seeds({"a": first, "b": second}, 0.95)
    (back,) = compare_seeds({"b": second[::-1], "a": first[::-1]}, 0.95)
    assert forth["difference"] == -back["difference"]
    assert forth["difference_low"] == pytest.approx(-back["difference_high"])
    assert forth["difference_low"] <= forth["difference"] <= forth["difference_high"]
    assert forth["exceeds_noise"] == back["exceeds_noise"]
    assert forth["exceeds_noise"] == (not forth["difference_low"] <= 0 <= forth["difference_high"])
    (same,) = compare_seeds({"a": first, "b": first}, 0.95)
    assert same["exceeds_noise"] is False


def test_one_seed_has_no_known_noise():
    pairs = compare_seeds({"a": [0.7, 0.9], "b": [0.5], "c": [0.6]}, 0.95)
    assert [pair["difference"] for pair in pairs] == pytest.approx([0.3, 0.2, -0.1])
    for pair in pairs:
        assert [pair[key] for key in ("difference_low", "difference_high", "exceeds_noise")] == [None] * 3


def test_the_intervals_hold_together_over_the_pairs_that_have_one():
    accuracies = {"a": [0.7, 0.72, 0.71], "b": [0.8, 0.83, 0.79], "c": [0.6, 0.64, 0.61], "d": [0.9]}
    pairs = dict(zip(itertools.combinations("abcd", 2), compare_seeds(accuracies, 0.94), strict=True))
    low, high = welch_interval(accuracies["a"], accuracies["b"], 1 - 0.06 / 3)
    assert (pairs["a", "b"]["difference_low"], pairs["a", "b"]["difference_high"]) == pytest.approx(
        (low, high)
    )
    assert pairs["a", "d"]["exceeds_noise"] is None
