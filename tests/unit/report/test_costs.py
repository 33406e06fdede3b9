import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.report.costs import (
    Cost,
    crossing,
    describe_cost,
    describe_crossings,
    measure_costs,
    ordinal,
    split_seconds,
)

EXTRACTION = {"from_store": 0, "from_head": 0, "embedded": 1200, "seconds_plain": 5.0, "seconds_views": 9.5}
TIMING = {
    "extract_features": EXTRACTION,
    "train_two_stage": {"seconds_preparation": 0.1, "seconds_training": 2.8},
    "train_two_stage_views": {"seconds_preparation": 0.2, "seconds_training": 2.9},
    "train_inline": {"seconds_preparation": 4.6, "seconds_training": 10.9},
    "train_scratch": {"seconds_preparation": 0.2, "seconds_training": 6.1},
}
WHOLE = st.integers(0, 10**6)


def without(stage):
    return {name: seconds for name, seconds in TIMING.items() if name != stage}


def words(timing):
    costs = measure_costs(timing)
    return [describe_cost(method, cost) for method, cost in costs.items()], describe_crossings(costs)


def test_what_is_kept_is_paid_once_and_inline_prepares_each_time():
    assert measure_costs(TIMING) == {
        "two_stage": Cost(5.0, pytest.approx(2.9), 0, 1200),
        "two_stage_views": Cost(14.5, pytest.approx(3.1), 0, 1200),
        "inline": Cost(0.0, pytest.approx(15.5), 0, 0),
    }


@pytest.mark.parametrize("method", ["two_stage", "two_stage_views", "inline"])
def test_one_training_costs_what_the_table_shows(method):
    assert measure_costs(TIMING)[method].after(1) == pytest.approx(sum(split_seconds(method, TIMING)))


def test_in_words():
    costs, crossings = words(TIMING)
    assert costs == [
        "two_stage: 5.0 s once, then 2.9 s for each training.",
        "two_stage_views: 14.5 s once, then 3.1 s for each training.",
        "inline: 15.5 s for each training, in which every image is embedded again.",
    ]
    assert crossings == [
        "From the first training on, two_stage has taken less time than inline.",
        "From the 2nd training on, two_stage_views has taken less time than inline.",
    ]


@given(WHOLE, WHOLE, WHOLE)
def test_the_crossing_is_the_first_training_after_which_less_time_was_taken(once, each, inline):
    """Whole seconds, which floats add exactly."""
    cached, other = Cost(float(once), float(each), 0, 0), Cost(0.0, float(inline), 0, 0)
    n = crossing(cached, other)
    if n is None:
        assert cached.after(10**9) >= other.after(10**9)
    else:
        assert n >= 1
        assert cached.after(n) < other.after(n)
        assert n == 1 or cached.after(n - 1) >= other.after(n - 1)


def test_a_training_that_takes_no_less_never_pays():
    slow = TIMING | {"train_two_stage": {"seconds_preparation": 0.0, "seconds_training": 15.5}}
    assert words(slow)[1][0] == (
        "two_stage never takes less time than inline: a training of it takes no less."
    )


@pytest.mark.parametrize(
    ("stage", "cost"),
    [
        ("extract_features", "two_stage: 2.9 s for each training; the extraction was not timed."),
        ("train_two_stage", "two_stage: unknown, because its training was not timed."),
        ("train_inline", "two_stage: 5.0 s once, then 2.9 s for each training."),
    ],
)
def test_a_missing_stage_is_named(stage, cost):
    costs, crossings = words(without(stage))
    assert costs[0] == cost
    assert crossings[0] == (
        f"Whether two_stage takes less time than inline is unknown, because {stage} was not timed."
    )


def test_without_any_timing_all_is_unknown():
    assert words({})[1] == [
        f"Whether {method} takes less time than inline is unknown, because train_{method} and train_inline "
        "and extract_features were not timed."
        for method in ("two_stage", "two_stage_views")
    ]


def test_cached_features_make_what_is_paid_once_a_lower_bound():
    cached = {"from_store": 250, "from_head": 50, "embedded": 900}
    costs, crossings = words(TIMING | {"extract_features": EXTRACTION | cached})
    assert costs[1] == "two_stage_views: at least 14.5 s once, then 3.1 s for each training."
    assert crossings == [
        "From the first training on, or a later one, two_stage has taken less time than inline.",
        "From the 2nd training on, or a later one, two_stage_views has taken less time than inline.",
        "300 of 1,200 features came from the cache; the seconds they once took are not counted, so what is "
        "paid once is a lower bound.",
    ]


def test_of_some_methods_only_what_can_be_said_is():
    costs = measure_costs(TIMING)
    without_views = {method: costs[method] for method in ("two_stage", "inline")}
    assert describe_crossings(without_views) == describe_crossings(costs)[:1]
    assert describe_crossings({"two_stage": costs["two_stage"]}) == []
    assert describe_crossings({"inline": costs["inline"]}) == []


def test_a_crossing_of_unknown_costs_is_refused():
    with pytest.raises(ValueError, match="expected known costs"):
        crossing(Cost(None, 1.0, 0, 0), Cost(0.0, 2.0, 0, 0))


def test_ordinals():
    numbers = [1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111, 1001]
    places = "first 2nd 3rd 4th 11th 12th 13th 21st 22nd 103rd 111th 1,001st"
    assert [ordinal(n) for n in numbers] == places.split()
