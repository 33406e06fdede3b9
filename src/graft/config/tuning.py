"""The search spaces in params.yaml: `tune`, a block for each method that can be tuned."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import StrictBool, StrictFloat, StrictInt, ValidationError, model_validator

from graft.config.load import explain_errors
from graft.config.types import Block

Choices = list[Any]
Build = Callable[[Mapping[str, Any]], Any]


class Range(Block):
    """All values from one number to another; whole ones where both are written so."""

    low: StrictInt | StrictFloat
    high: StrictInt | StrictFloat
    log: StrictBool = False

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if not self.low < self.high or (self.log and self.low <= 0):
            least = "0 < low < high" if self.log else "low < high"
            raise ValueError(f"expected {least}, received low={self.low} and high={self.high}")
        return self


class Tune(Block):
    """Method -> its search space: part of its block, with a range or a list of choices in place of values."""

    linear: dict[str, Any]
    two_stage: dict[str, Any]
    two_stage_views: dict[str, Any]


def read_space(
    values: Mapping[str, Any], block: Mapping[str, Any], build: Build
) -> dict[str, Range | Choices]:
    """Read the search space of a method, each end and choice of which must be legal in its block.

    Args:
        values: of its block of `tune`.
        block: its own block, with which each end and choice is tried.
        build: validates such a block.

    Returns:
        Dotted key of the block -> what to search there.

    Raises:
        ValueError: naming the key, what was expected and what was received.

    >>> read_space({"head": {"dropout": {"low": 0, "high": 0.9}}}, {"head": {"dropout": 0.5}}, dict)
    {'head.dropout': Range(low=0, high=0.9, log=False)}
    """
    space = dict(_read(values, block, ""))
    for key, searched in space.items():
        for value in (searched.low, searched.high) if isinstance(searched, Range) else searched:
            try:
                build(replace(block, {key: value}))
            except ValidationError as error:
                raise ValueError("; ".join(line.strip() for line in explain_errors(error, None))) from None
    return space


def _read(
    values: Mapping[str, Any], block: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Range | Choices]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if name not in block:
            raise ValueError(f"{key}: unknown key; legal here: {', '.join(block)}")
        if isinstance(value, Mapping) and isinstance(block[name], Mapping):
            yield from _read(value, block[name], f"{key}.")
        elif isinstance(value, Mapping):
            try:
                yield key, Range.model_validate(value)
            except ValidationError as error:
                raise ValueError("; ".join(map(str.strip, explain_errors(error, Range, [key])))) from None
        elif isinstance(value, list) and value:
            yield key, value
        else:
            raise ValueError(
                f"{key}: expected {{low: .., high: ..}} or a list of choices, received {value!r}"
            )


def replace(block: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a block with other values at some of its dotted keys.

    >>> replace({"head": {"dropout": 0.5, "l2": 0.0}}, {"head.dropout": 0.8})
    {'head': {'dropout': 0.8, 'l2': 0.0}}
    """
    changed = dict(block)
    for key, value in values.items():
        name, _, rest = key.partition(".")
        changed[name] = replace(changed[name], {rest: value}) if rest else value
    return changed
