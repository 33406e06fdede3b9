"""Measured seconds -> what a method costs once and at each training, and from when on caching pays."""

from collections.abc import Mapping
from math import floor
from typing import NamedTuple

Timing = Mapping[str, Mapping[str, float]]
Value = float | None

# What of the extraction a method rests on.
EXTRACTION = {"two_stage": ["seconds_plain"], "two_stage_views": ["seconds_plain", "seconds_views"]}


class Cost(NamedTuple):
    """The seconds of a method that needs a backbone; None where unknown.

    Attributes:
        once: of what is kept for every training: the features. 0 for `inline`, which embeds anew.
        each: of one training with all that it prepares.
        n_cached: how many features came from the cache. Their seconds are not in `once`, which then is
            a lower bound.
        n_features: how many features the extraction had to find or to compute.
    """

    once: Value
    each: Value
    n_cached: int
    n_features: int

    @property
    def bound(self) -> str:
        """What to say before a number that rests on `once`: `at least `, or nothing."""
        return "at least " if self.n_cached else ""

    def after(self, trainings: int) -> Value:
        """The seconds that so many trainings have taken in all; None where unknown."""
        return None if self.once is None or self.each is None else self.once + trainings * self.each


def split_seconds(method: str, timing: Timing) -> tuple[Value, Value]:
    """The seconds a method takes before its first epoch and from then on; None where unknown.

    What comes before includes the extraction of the features for the methods that use them.
    """
    training = timing.get(f"train_{method}")
    if training is None:
        return None, None
    preparation, rest = training["seconds_preparation"], training["seconds_training"]
    if method in EXTRACTION:
        if "extract_features" not in timing:
            return None, rest
        preparation += sum(timing["extract_features"][part] for part in EXTRACTION[method])
    return preparation, rest


def measure_costs(timing: Timing) -> dict[str, Cost]:
    """The costs of the methods that rest on a backbone.

    Another head means another training: `inline` embeds again, the others look the features up.

    Args:
        timing: stage -> what it wrote to ``metrics/timing``; a stage may be missing.

    Returns:
        `two_stage`, `two_stage_views` and `inline` -> its cost.
    """
    extraction = timing.get("extract_features")
    costs = {"inline": Cost(0.0, _each("inline", timing), 0, 0)}
    for method, parts in EXTRACTION.items():
        once = None if extraction is None else sum(extraction[part] for part in parts)
        costs[method] = Cost(once, _each(method, timing), *_count_features(timing))
    return {method: costs[method] for method in (*EXTRACTION, "inline")}


def _each(method: str, timing: Timing) -> Value:
    training = timing.get(f"train_{method}")
    return None if training is None else training["seconds_preparation"] + training["seconds_training"]


def notes_on_cache(timing: Timing) -> list[str]:
    """What a table with seconds leaves out of them."""
    n_cached, _ = _count_features(timing)
    return [f"{n_cached:,} features came from the cache; their seconds are not in the table"] * (n_cached > 0)


def _count_features(timing: Timing) -> tuple[int, int]:
    extraction = timing.get("extract_features", {})
    cached = extraction.get("from_store", 0) + extraction.get("from_head", 0)
    return int(cached), int(cached + extraction.get("embedded", 0))


def crossing(cached: Cost, other: Cost) -> int | None:
    """The number of trainings from which on `cached` has taken less time than `other`.

    Returns:
        At least 1; None if it never has.

    Raises:
        ValueError: if a cost is unknown, or `other` costs something once.
    """
    if cached.once is None or cached.each is None or other.each is None or other.once != 0:
        raise ValueError(f"expected known costs, the second without `once`, received {cached} and {other}")
    saved = other.each - cached.each
    return floor(cached.once / saved) + 1 if saved > 0 else None


def describe_cost(method: str, cost: Cost) -> str:
    """A method's cost in words: `two_stage: 5.0 s once, then 2.9 s for each training.`"""
    if cost.each is None:
        return f"{method}: unknown, because its training was not timed."
    if method not in EXTRACTION:
        return f"{method}: {with_unit(cost.each)} for each training, in which every image is embedded again."
    if cost.once is None:
        return f"{method}: {with_unit(cost.each)} for each training; the extraction was not timed."
    return (
        f"{method}: {cost.bound}{with_unit(cost.once)} once, then {with_unit(cost.each)} for each training."
    )


def describe_crossings(costs: Mapping[str, Cost]) -> list[str]:
    """From which training on each cached method has taken less time than `inline`, in words.

    Args:
        costs: as `measure_costs` gives them, or those of some methods.

    Returns:
        A sentence each for `two_stage` and `two_stage_views`, none without `inline`; and one on the
        features whose seconds are not known, if there are any.
    """
    kept = {method: cost for method, cost in costs.items() if method in EXTRACTION}
    inline = costs.get("inline")
    lines = [_describe_crossing(method, cost, inline) for method, cost in kept.items() if inline]
    for cached in [cost for cost in kept.values() if cost.n_cached][:1]:  # the same of all
        lines.append(
            f"{cached.n_cached:,} of {cached.n_features:,} features came from the cache; the seconds they "
            "once took are not counted, so what is paid once is a lower bound."
        )
    return lines


def _describe_crossing(method: str, cost: Cost, inline: Cost) -> str:
    missing = [
        f"train_{name}" for name, each in ((method, cost.each), ("inline", inline.each)) if each is None
    ]
    missing += ["extract_features"] if cost.once is None else []
    if missing:
        untimed = " and ".join(missing)
        verb = "were" if len(missing) > 1 else "was"
        return f"Whether {method} takes less time than inline is unknown, because {untimed} {verb} not timed."
    n = crossing(cost, inline)
    if n is None:
        return f"{method} never takes less time than inline: a training of it takes no less."
    if cost.n_cached:
        return f"From the {ordinal(n)} training on, or a later one, {method} has taken less time than inline."
    return f"From the {ordinal(n)} training on, {method} has taken less time than inline."


def ordinal(n: int) -> str:
    """A positive number's place in English: first, 2nd, 3rd, 4th, 11th, 21st."""
    if n == 1:
        return "first"
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{suffix}"


def show_seconds(seconds: float) -> str:
    """Seconds as text: `5.0`, `1,480`."""
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def with_unit(seconds: float) -> str:
    """Seconds with their unit: `5.0 s`."""
    return f"{show_seconds(seconds)} s"
