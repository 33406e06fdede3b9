"""Drift: found where there is one, and hardly ever where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from threadpoolctl import threadpool_limits

from graft.serving.drift_words import explain, summarise
from graft.serving.logged import Logged
from graft.serving.monitoring import LEAST_IMAGES, find_distinct, find_noticeable, measure_drift
from graft.serving.reference import Reference
from graft.serving.two_samples import compare_components, compare_kernels, compare_shares, compare_values
from helpers.tiers import long_but_for

CLASSES = ["daisy", "rose", "tulip"]
CARD = {"classes": CLASSES, "confidence": 0.95}


def draw(rng, n, d=150, shares=(0.5, 0.3, 0.2), shift=0.0):
    """More numbers than images, of three clusters, and the scores of a model that is not sure of them."""
    labels = rng.choice(3, n, p=shares)
    centres = np.random.default_rng(99).normal(size=(3, d))
    features = centres[labels] + rng.normal(size=(n, d)) + shift
    logits = 2 * np.eye(3)[labels] + rng.normal(size=(n, 3)) - 5 * shift * np.eye(3)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return features.astype(np.float32), scores.astype(np.float32)


def log_of(features, scores):
    times = np.datetime64("2026-11-28T09:00:00", "us") + np.arange(len(scores))
    return Logged(features, scores, times, len(scores), 0, 0)


def compare(reference, logged, alpha=0.05, seed=0):
    return measure_drift(Reference(CARD, *reference), log_of(*logged), alpha, seed)


def changed(drift):
    return [row["name"] for row in drift["tests"] if row["changed"]]


@pytest.mark.parametrize("n_draws", long_but_for([20], [20, 100]))
def test_the_same_distribution_is_not_flagged_in_95_of_100_draws(n_draws):
    rng = np.random.default_rng(0)
    with threadpool_limits(1):  # as small as these are, threads only wait for each other
        drifts = [compare(draw(rng, 70), draw(rng, 60), seed=n) for n in range(n_draws)]
    assert sum(drift["drift"] for drift in drifts) <= 0.05 * n_draws


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shift": 0.2}, {"components", "kernel", "confidence"}),
        ({"shares": (0.1, 0.1, 0.8)}, {"components", "kernel", "classes"}),
    ],
)
def test_another_distribution_is_flagged(change, expected):
    rng = np.random.default_rng(1)
    drift = compare(draw(rng, 200), draw(rng, 200, **change))
    assert expected <= set(changed(drift))
    assert summarise(drift).startswith("DRIFT: the images differ")


def test_answers_alone_are_compared_where_there_are_no_features():
    rng = np.random.default_rng(2)
    (_, scores), (features, others) = draw(rng, 200), draw(rng, 200, shares=(0.1, 0.1, 0.8))
    drift = compare((None, scores), (features, others))
    assert [row["name"] for row in drift["tests"]] == ["classes", "confidence"]
    assert "could not be compared" in summarise(drift)


def test_too_few_images_are_refused_and_a_repeated_one_counts_once():
    rng = np.random.default_rng(3)
    reference, (features, scores) = draw(rng, 100), draw(rng, LEAST_IMAGES)
    assert compare(reference, (features, scores))["n_images"] == LEAST_IMAGES
    repeated = np.arange(500) % (LEAST_IMAGES - 1)
    with pytest.raises(ValueError, match=rf"at least {LEAST_IMAGES} .* received {LEAST_IMAGES - 1}"):
        compare(reference, (features[repeated], scores[repeated]))


def test_features_of_another_width_are_refused():
    rng = np.random.default_rng(4)
    with pytest.raises(ValueError, match="of another backbone"):
        compare(draw(rng, 100), draw(rng, 100, d=20))


def test_what_is_not_finite_is_left_out():
    rng = np.random.default_rng(5)
    features, scores = draw(rng, 100)
    features[3, 2], scores[7, 1] = np.inf, np.nan
    assert compare(draw(rng, 100), (features, scores))["n_images"] == 98


def test_rounding_makes_no_other_image():
    rng = np.random.default_rng(6)
    features, _ = draw(rng, 100)
    again = features * (1 + 1e-6 * rng.normal(size=features.shape))
    logged = np.concatenate([features, again]).astype(np.float16).astype(np.float32)
    found = find_distinct(logged, features)
    assert found[:100].tolist() == list(range(100))
    assert len(found) < 105


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(50, 120), swapped=st.booleans())
def test_neither_the_order_nor_the_units_of_features_change_a_test(seed, n, swapped):
    rng = np.random.default_rng(seed)
    one, other = draw(rng, 60, 10)[0], draw(rng, n, 10, shift=0.1)[0]
    first = compare_components(one, other)
    order = rng.permutation(10)
    parts = [1000 * sample[rng.permutation(len(sample))][:, order] for sample in (one, other)]
    second = compare_components(*(reversed(parts) if swapped else parts))
    assert second.p_value == pytest.approx(first.p_value)
    assert second.statistic == pytest.approx(first.statistic)


def test_the_statistics_are_those_of_scipy():
    counts = np.array([[30, 20, 10, 0], [10, 25, 20, 0]])
    tested = compare_shares(*counts, permutations=20_000, seed=0)
    expected = chi2_contingency(counts[:, :3], correction=False)
    assert tested.details["chi_squared"] == pytest.approx(expected.statistic)
    assert tested.p_value == pytest.approx(expected.pvalue, rel=0.2)


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_rows_that_are_all_the_same_are_no_drift(constant):
    one, other = np.full((50, 4), constant), np.full((60, 4), constant)
    assert compare_components(one, other).p_value == 1
    assert compare_kernels(one, other, 99, 0).p_value == 1
    assert compare_values(one[:, 0], other[:, 0]).p_value == 1


@pytest.mark.parametrize(("extra", "significant"), [(0.02, True), (-0.05, False)])
def test_from_a_noticeable_distance_on_a_difference_is_significant(extra, significant):
    one, other = np.linspace(0, 1, 400), np.linspace(0, 1, 300)
    other[: int(300 * (find_noticeable(0.01, 400, 300) + extra))] += 10
    assert (compare_values(one, other).p_value < 0.01) == significant


def test_sentences_have_no_empty_or_broken_number():
    rng = np.random.default_rng(8)
    for shift in (0.0, 0.3):
        drift = compare(draw(rng, 100), draw(rng, 100, shift=shift))
        for sentence in [summarise(drift), *explain(drift)]:
            assert "nan" not in sentence
            assert sentence.endswith((".", "?"))
    assert len(explain(drift)) > len(explain(drift | {"tests": []}))
