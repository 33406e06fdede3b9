import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.methods.registry import METHODS
from graft.report.costs import (
    Cost,
    add_members,
    crossing,
    describe_cost,
    describe_crossings,
    measure_costs,
    notes_on_cache,
    ordinal,
)
from helpers.comparison import make_timing

SECONDS = {"two_stage": (0.1, 2.8), "two_stage_views": (0.2, 2.9), "inline": (4.6, 10.9)}
TIMING = make_timing(SECONDS, (5.0, 9.5))
WHOLE = st.integers(0, 10**6)


def without(stage):
    return {name: seconds for name, seconds in TIMING.items() if name != stage}


def words(timing):
    """Of three methods, in the order of the registry."""
    costs = {method: cost for method, cost in measure_costs(timing).items() if method in SECONDS}
    return [describe_cost(method, cost) for method, cost in costs.items()], describe_crossings(costs)


def test_what_is_kept_is_paid_once_and_inline_prepares_each_time():
    costs = measure_costs(TIMING)
    assert list(costs) == [name for name, method in METHODS.items() if method.has_backbone]
    assert costs["two_stage"] == Cost(5.0, 0.1, 2.8)
    assert costs["two_stage_views"] == Cost(14.5, 0.2, 2.9)
    assert costs["inline"] == Cost(0.0, 4.6, 10.9)
    assert costs["inline"].each == pytest.approx(15.5)


def test_a_mean_costs_what_its_members_cost_as_well_or_it_is_unknown():
    members = {"ensemble": {"two_stage": 3, "linear": 1}}
    cost = measure_costs(add_members(TIMING, members))["ensemble"]
    own, linear = (measure_costs(TIMING)[name] for name in ("ensemble", "linear"))
    assert cost.preparation == pytest.approx(own.preparation + linear.preparation + 0.1)
    assert cost.training == pytest.approx(own.training + linear.training + 3 * 2.8)
    assert make_timing(SECONDS, (5.0, 9.5)) == TIMING
    for stage in ("train_two_stage", "train_ensemble"):
        assert measure_costs(add_members(without(stage), members))["ensemble"].untimed == ("train_ensemble",)
    assert add_members(TIMING, {}) == TIMING


def test_in_words():
    costs, crossings = words(TIMING)
    assert costs == [
        "two_stage: 5.0 s once, then 2.9 s for each training run.",
        "two_stage_views: 14.5 s once, then 3.1 s for each training run.",
        "inline: 15.5 s for each training run, in which every image is embedded again.",
    ]
    assert crossings == [
        "From the first training run on, two_stage has taken less time than inline.",
        "From the 2nd training run on, two_stage_views has taken less time than inline.",
    ]


@given(WHOLE, WHOLE, WHOLE)
def test_the_crossing_is_the_first_training_after_which_less_time_was_taken(once, each, inline):
    """Whole seconds, which floats add exactly."""
    cached, other = Cost(float(once), 0.0, float(each)), Cost(0.0, 0.0, float(inline))
    n = crossing(cached, other)
    if n is None:
        assert cached.after(10**9) >= other.after(10**9)
    else:
        assert n >= 1
        assert cached.after(n) < other.after(n)
        assert n == 1 or cached.after(n - 1) >= other.after(n - 1)


def test_a_training_run_that_takes_no_less_never_pays():
    slow = TIMING | {"train_two_stage": {"seconds_preparation": 0.0, "seconds_training": 15.5}}
    assert words(slow)[1][0] == (
        "two_stage never takes less time than inline, because one training run of it takes no less."
    )


@pytest.mark.parametrize(
    ("stage", "cost"),
    [
        ("extract_features", "two_stage: 2.9 s for each training run; the extraction was not timed."),
        ("train_two_stage", "two_stage: unknown, because its training run was not timed."),
        ("train_inline", "two_stage: 5.0 s once, then 2.9 s for each training run."),
    ],
)
def test_a_missing_stage_is_named(stage, cost):
    costs, crossings = words(without(stage))
    assert costs[0] == cost
    assert crossings[0] == (
        f"It is unknown when two_stage takes less time than inline, because {stage} was not timed."
    )


def test_without_any_timing_all_is_unknown():
    assert words({})[1] == [
        "It is unknown when two_stage takes less time than inline, because train_two_stage and "
        "extract_features and train_inline were not timed.",
        "It is unknown when two_stage_views takes less time than inline, because train_two_stage_views and "
        "extract_features and extract_views and train_inline were not timed.",
    ]


def test_cached_features_make_what_is_paid_once_a_lower_bound():
    costs, crossings = words(make_timing(SECONDS, (5.0, 9.5), cached=150))
    assert costs[1] == "two_stage_views: at least 14.5 s once, then 3.1 s for each training run."
    assert crossings == [
        "From the first training run on, or a later one, two_stage has taken less time than inline.",
        "From the 2nd training run on, or a later one, two_stage_views has taken less time than inline.",
    ]


def test_cached_features_are_counted():
    assert notes_on_cache(TIMING) == notes_on_cache({}) == []
    assert notes_on_cache(make_timing(SECONDS, cached=150)) == [
        "300 of 1,200 features came from the cache; the seconds they once took are not counted, so seconds "
        "with extraction are a lower bound."
    ]


def test_only_the_extraction_that_a_method_needs_counts():
    """Views that came from the cache make no bound of the methods on plain features."""
    timing = TIMING | {"extract_views": TIMING["extract_views"] | {"from_head": 600, "embedded": 0}}
    costs, crossings = words(timing)
    assert costs[:2] == [
        "two_stage: 5.0 s once, then 2.9 s for each training run.",
        "two_stage_views: at least 14.5 s once, then 3.1 s for each training run.",
    ]
    assert crossings[0] == "From the first training run on, two_stage has taken less time than inline."
    assert words(without("extract_views"))[0][0] == costs[0]


def test_of_some_methods_only_what_can_be_said_is():
    costs = measure_costs(TIMING)
    assert describe_crossings({m: costs[m] for m in ("two_stage", "inline")}) == words(TIMING)[1][:1]
    assert describe_crossings({"two_stage": costs["two_stage"]}) == []
    assert describe_crossings({"inline": costs["inline"]}) == []


def test_ordinals():
    assert [ordinal(n) for n in (12, 13, 22, 103, 111)] == ["12th", "13th", "22nd", "103rd", "111th"]
