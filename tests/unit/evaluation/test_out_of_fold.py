"""Out-of-fold answers: intervals, tests and fronts have the properties that their names promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from graft.evaluation.compare import mcnemar
from graft.evaluation.out_of_fold import compare_answers, find_front, wilson

REPEATS = 3
ANSWERS = st.lists(st.integers(0, REPEATS), min_size=20, max_size=20).map(np.array)
CANDIDATES = st.dictionaries(st.sampled_from("abcdef"), ANSWERS, min_size=1, max_size=5)
NUMBERS = st.integers(0, 4).map(float)


@given(st.integers(1, 500), st.data())
def test_wilson_is_that_of_scipy_where_the_share_is_a_count(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    expected = binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert wilson(k / n, n, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(CANDIDATES)
def test_the_best_comes_first_and_every_other_is_tested_against_it(counts: dict[str, np.ndarray]) -> None:
    compared = compare_answers({name: count / REPEATS for name, count in counts.items()}, 0.95)
    best, *others = compared
    assert compared.keys() == counts.keys()
    accuracies = [one["accuracy"] for one in compared.values()]
    assert accuracies == sorted(accuracies, reverse=True)
    assert compared[best]["test"] is None
    for name, one in compared.items():
        assert one["accuracy"] == pytest.approx(counts[name].sum() / (20 * REPEATS))
        assert 0 <= one["low"] <= one["accuracy"] <= one["high"] <= 1
    for name in others:
        test = compared[name]["test"]
        assert test | mcnemar(counts[best] >= 2, counts[name] >= 2) == test
        assert test["p_value"] <= test["p_value_holm"] <= 1


def test_more_repeats_make_no_interval_narrower_and_the_adjustment_is_for_all_pairs() -> None:
    right = np.repeat([1.0, 0.0], [80, 20])
    worse, worst = np.roll(right, 8) * (np.arange(100) < 80), np.zeros(100)
    compared = compare_answers({"best": right, "worse": worse, "worst": worst}, 0.95)
    assert (compared["best"]["low"], compared["best"]["high"]) == wilson(0.8, 100, 0.95)
    test = compared["worse"]["test"]
    assert test["p_value_holm"] == pytest.approx(test["p_value"])  # the last of three pairs
    alone = compare_answers({"best": right, "worst": worst}, 0.95)["worst"]["test"]
    assert compared["worst"]["test"]["p_value_holm"] == pytest.approx(3 * alone["p_value"])


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(NUMBERS, NUMBERS)))
def test_each_that_is_off_the_front_is_beaten_by_one_on_it_and_none_of_it_is(
    places: dict[str, tuple[float, float]],
) -> None:
    gains, costs = ({name: place[i] for name, place in places.items()} for i in (0, 1))
    front = find_front(gains, costs)

    def beaten(name: str) -> bool:
        gain, cost = places[name]
        return any(
            g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in (places[other] for other in front)
        )

    assert front == {name for name in places if not beaten(name)}
