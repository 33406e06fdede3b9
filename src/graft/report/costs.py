"""Measured seconds -> the cost of a method, once and for each training run, and from when on caching pays."""

from collections.abc import Mapping
from math import floor, nan
from typing import NamedTuple

from graft.methods.registry import METHODS

# Stage -> what it wrote to metrics/timing; a stage may be missing.
Timing = Mapping[str, Mapping[str, float]]

EXTRACTIONS = {"plain": "extract_features", "views": "extract_views"}  # kind of features -> stage
# The methods on cached features are compared with the one that embeds every image in each training run.
UNCACHED = next(name for name, method in METHODS.items() if method.has_backbone and not method.features)


class Cost(NamedTuple):
    """The seconds of a method; NaN where unknown.

    Attributes:
        once: for what all its training runs share: the features. 0 for a method without.
        preparation: before the first epoch of one training run.
        training: from then on.
        at_least: the words `at least ` if features came from the cache: their seconds are not in `once`.
        untimed: the stages whose seconds are unknown.
    """

    once: float
    preparation: float
    training: float
    at_least: str = ""
    untimed: tuple[str, ...] = ()

    @property
    def each(self) -> float:
        """The seconds of one training run with all that it prepares."""
        return self.preparation + self.training

    def after(self, runs: int) -> float:
        """The seconds that so many training runs have taken in all."""
        return self.once + runs * self.each


def measure_cost(name: str, timing: Timing) -> Cost:
    """The cost of one method."""
    train, extractions = f"train_{name}", [EXTRACTIONS[kind] for kind in METHODS[name].features]
    return Cost(
        sum((timing.get(stage, {}).get("seconds_embedding", nan) for stage in extractions), start=0.0),
        timing.get(train, {}).get("seconds_preparation", nan),
        timing.get(train, {}).get("seconds_training", nan),
        "at least " * any(_count_cached(timing, stage) for stage in extractions),
        tuple(stage for stage in (train, *extractions) if stage not in timing),
    )


def add_members(timing: Timing, members: Mapping[str, Mapping[str, int]]) -> Timing:
    """Give the means of other methods the seconds of these as well; none where one of them was not timed.

    Args:
        timing: of the stages.
        members: method -> how many training runs of each of its members are in the mean.
    """
    added = {**timing}
    for method, runs in members.items():
        parts = {f"train_{method}": 1} | {f"train_{member}": n for member, n in runs.items()}
        added.pop(f"train_{method}", None)
        if all(stage in timing for stage in parts):
            added[f"train_{method}"] = {
                "seconds_preparation": sum(timing[stage]["seconds_preparation"] for stage in parts),
                "seconds_training": sum(n * timing[stage]["seconds_training"] for stage, n in parts.items()),
            }
    return added


def measure_costs(timing: Timing) -> dict[str, Cost]:
    """The costs of the methods that rest on a backbone."""
    return {name: measure_cost(name, timing) for name, method in METHODS.items() if method.has_backbone}


def _count_cached(timing: Timing, stage: str) -> int:
    return int(sum(timing.get(stage, {}).get(origin, 0) for origin in ("from_store", "from_head")))


def notes_on_cache(timing: Timing) -> list[str]:
    """A sentence on the seconds that are not counted, if there are any."""
    cached = sum(_count_cached(timing, stage) for stage in EXTRACTIONS.values())
    n = cached + sum(int(timing.get(stage, {}).get("embedded", 0)) for stage in EXTRACTIONS.values())
    return [
        f"{cached:,} of {n:,} features came from the cache; the seconds they once took are not counted, so "
        "seconds with extraction are a lower bound."
    ] * (cached > 0)


def crossing(cached: Cost, other: Cost) -> int | None:
    """The number of training runs from which on `cached` has taken less time than `other`.

    Args:
        cached: a known cost.
        other: a known cost of which nothing is paid once.

    Returns:
        At least 1; None if it never has.

    Examples:
        >>> crossing(Cost(once=10.0, preparation=0.0, training=1.0), Cost(0.0, 1.0, 3.0))
        4
    """
    saved = other.each - cached.each
    return floor(cached.once / saved) + 1 if saved > 0 else None


def find_crossings(costs: Mapping[str, Cost]) -> dict[str, int]:
    """`crossing` of each method on cached features with `UNCACHED`, where both are known and there is one."""
    known = {name: cost for name, cost in costs.items() if not cost.untimed}
    if UNCACHED not in known:
        return {}
    found = {name: crossing(cost, known[UNCACHED]) for name, cost in known.items() if METHODS[name].features}
    return {name: n for name, n in found.items() if n is not None}


def describe_cost(name: str, cost: Cost) -> str:
    """A method's cost in words: `two_stage: 5.0 s once, then 2.9 s for each training run.`"""
    if f"train_{name}" in cost.untimed:
        return f"{name}: unknown, because its training run was not timed."
    each = f"{with_unit(cost.each)} for each training run"
    if not METHODS[name].features:
        return f"{name}: {each}, in which every image is embedded again."
    if cost.untimed:
        return f"{name}: {each}; the extraction was not timed."
    return f"{name}: {cost.at_least}{with_unit(cost.once)} once, then {each}."


def describe_costs(costs: Mapping[str, Cost]) -> list[str]:
    """A sentence on each method's cost, then those of `describe_crossings`.

    Args:
        costs: as `measure_costs` gives them, or those of some methods.
    """
    return [*(describe_cost(name, cost) for name, cost in costs.items()), *describe_crossings(costs)]


def describe_crossings(costs: Mapping[str, Cost]) -> list[str]:
    """A sentence on when each method on cached features begins to take less time than `UNCACHED`."""
    if UNCACHED not in costs:
        return []
    crossings = find_crossings(costs)
    return [
        _describe_crossing(name, crossings.get(name), cost, [*cost.untimed, *costs[UNCACHED].untimed])
        for name, cost in costs.items()
        if METHODS[name].features
    ]


def _describe_crossing(name: str, n: int | None, cost: Cost, untimed: list[str]) -> str:
    if untimed:
        reason = f"{' and '.join(untimed)} {'were' if len(untimed) > 1 else 'was'} not timed"
        return f"It is unknown when {name} takes less time than {UNCACHED}, because {reason}."
    if n is None:
        return f"{name} never takes less time than {UNCACHED}, because one training run of it takes no less."
    later = ", or a later one," if cost.at_least else ","
    return f"From the {ordinal(n)} training run on{later} {name} has taken less time than {UNCACHED}."


def ordinal(n: int) -> str:
    """A positive number's place in English.

    Examples:
        >>> [ordinal(n) for n in (1, 2, 3, 11, 21, 1004)]
        ['first', '2nd', '3rd', '11th', '21st', '1,004th']
    """
    if n == 1:
        return "first"
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{suffix}"


def show_seconds(seconds: float) -> str:
    """Seconds as text.

    Examples:
        >>> show_seconds(5), show_seconds(1480)
        ('5.0', '1,480')
    """
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def with_unit(seconds: float) -> str:
    """Seconds with their unit: `5.0 s`."""
    return f"{show_seconds(seconds)} s"
