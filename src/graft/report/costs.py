"""Measured seconds -> the cost of a method, once and for each training run, and from when on caching pays."""

from collections.abc import Mapping
from math import floor
from typing import NamedTuple

from graft.methods.registry import METHODS

Timing = Mapping[str, Mapping[str, float]]
Value = float | None

EXTRACTIONS = {"plain": "extract_features", "views": "extract_views"}  # kind of features -> stage
# The methods on cached features are compared with the one that embeds every image in each training run.
UNCACHED = next(name for name, method in METHODS.items() if method.has_backbone and not method.features)


class Cost(NamedTuple):
    """The seconds of a method; None where unknown.

    Attributes:
        once: for what all its training runs share: the features. 0 for a method without.
        preparation: before the first epoch of one training run.
        training: from then on.
        n_cached: how many features came from the cache. Their seconds are not in `once`, which then is
            a lower bound.
        n_features: how many features the extraction had to find or to compute.
        untimed: the stages whose seconds are unknown.
    """

    once: Value
    preparation: Value
    training: Value
    n_cached: int = 0
    n_features: int = 0
    untimed: tuple[str, ...] = ()

    @property
    def each(self) -> Value:
        """The seconds of one training run with all that it prepares."""
        return _add(self.preparation, self.training)

    @property
    def bound(self) -> str:
        """The words before a number that rests on `once`: `at least `, or nothing."""
        return "at least " if self.n_cached else ""

    def after(self, runs: int) -> Value:
        """The seconds that so many training runs have taken in all; None where unknown."""
        return None if self.once is None or self.each is None else self.once + runs * self.each


def _add(one: Value, other: Value) -> Value:
    return None if one is None or other is None else one + other


def measure_cost(name: str, timing: Timing) -> Cost:
    """The cost of one method.

    Args:
        name: of the method.
        timing: stage -> what it wrote to ``metrics/timing``; a stage may be missing.
    """
    train = f"train_{name}"
    stages = [EXTRACTIONS[kind] for kind in METHODS[name].features]
    untimed = tuple(stage for stage in (train, *stages) if stage not in timing)
    known = [timing[stage] for stage in stages if stage in timing]
    cached = sum(one["from_store"] + one["from_head"] for one in known)
    training = timing.get(train, {})
    return Cost(
        sum(one["seconds_embedding"] for one in known) if len(known) == len(stages) else None,
        training.get("seconds_preparation"),
        training.get("seconds_training"),
        int(cached),
        int(cached + sum(one["embedded"] for one in known)),
        untimed,
    )


def measure_costs(timing: Timing) -> dict[str, Cost]:
    """The costs of the methods that rest on a backbone."""
    return {name: measure_cost(name, timing) for name, method in METHODS.items() if method.has_backbone}


def split_seconds(name: str, timing: Timing) -> tuple[Value, Value]:
    """The seconds a method takes before its first epoch and from then on; None where unknown.

    The first include the extraction of the features that the method uses.
    """
    cost = measure_cost(name, timing)
    return _add(cost.once, cost.preparation), cost.training


def notes_on_cache(timing: Timing) -> list[str]:
    """A sentence on the seconds that a table leaves out, if there are any."""
    known = [timing[stage] for stage in EXTRACTIONS.values() if stage in timing]
    n = int(sum(one["from_store"] + one["from_head"] for one in known))
    return [f"{n:,} features came from the cache; their seconds are not in the table."] * (n > 0)


def crossing(cached: Cost, other: Cost) -> int | None:
    """The number of training runs from which on `cached` has taken less time than `other`.

    Returns:
        At least 1; None if it never has.

    Raises:
        ValueError: if a cost is unknown, or `other` costs something once.

    Examples:
        >>> crossing(Cost(once=10.0, preparation=0.0, training=1.0), Cost(0.0, 1.0, 3.0))
        4
    """
    if cached.once is None or cached.each is None or other.each is None or other.once != 0:
        raise ValueError(f"expected known costs, the second without `once`, received {cached} and {other}")
    saved = other.each - cached.each
    return floor(cached.once / saved) + 1 if saved > 0 else None


def find_crossings(costs: Mapping[str, Cost]) -> dict[str, int]:
    """`crossing` of each method on cached features with `UNCACHED`, where both are known and there is one.

    Args:
        costs: as `measure_costs` gives them, or those of some methods.
    """
    known = {name: cost for name, cost in costs.items() if not cost.untimed}
    if UNCACHED not in known:
        return {}
    found = {name: crossing(cost, known[UNCACHED]) for name, cost in known.items() if METHODS[name].features}
    return {name: n for name, n in found.items() if n is not None}


def describe_cost(name: str, cost: Cost) -> str:
    """A method's cost in words: `two_stage: 5.0 s once, then 2.9 s for each training run.`"""
    if cost.each is None:
        return f"{name}: unknown, because its training run was not timed."
    each = f"{with_unit(cost.each)} for each training run"
    if not METHODS[name].features:
        return f"{name}: {each}, in which every image is embedded again."
    if cost.once is None:
        return f"{name}: {each}; the extraction was not timed."
    return f"{name}: {cost.bound}{with_unit(cost.once)} once, then {each}."


def describe_crossings(costs: Mapping[str, Cost]) -> list[str]:
    """When each method on cached features begins to take less time than the one without, in words.

    Args:
        costs: as `measure_costs` gives them, or those of some methods.

    Returns:
        A sentence a method, none without `UNCACHED`; and one on the features whose seconds are not
        known, if there are any.
    """
    kept = {name: cost for name, cost in costs.items() if METHODS[name].features}
    crossings = find_crossings(costs)
    lines = [
        _describe_crossing(name, crossings.get(name), cost, costs[UNCACHED])
        for name, cost in kept.items()
        if UNCACHED in costs
    ]
    n, of = max(((cost.n_cached, cost.n_features) for cost in kept.values()), default=(0, 0))
    lines += [
        f"{n:,} of {of:,} features came from the cache; the seconds they once took are not counted, so what "
        "is paid once is a lower bound."
    ] * (n > 0)
    return lines


def _describe_crossing(name: str, n: int | None, cost: Cost, other: Cost) -> str:
    untimed = [*cost.untimed, *other.untimed]
    if untimed:
        verb = "were" if len(untimed) > 1 else "was"
        reason = f"{' and '.join(untimed)} {verb} not timed"
        return f"It is unknown when {name} takes less time than {UNCACHED}, because {reason}."
    if n is None:
        return f"{name} never takes less time than {UNCACHED}, because one training run of it takes no less."
    later = ", or a later one," if cost.n_cached else ","
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
