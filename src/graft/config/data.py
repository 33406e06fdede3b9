"""The data in params.yaml: `prepare`, `split`."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from graft.config.types import SPLITS, Block, Count, Fraction, Natural, ProperFraction, Split, unique


class Prepare(Block):
    max_rejected: Fraction  # share of the images
    max_pixels: Count  # height x width; more are rejected before any is decoded
    label_conflicts: Literal["refuse", "reject"]  # all copies, since nobody knows which label is right


class SplitParams(Block):
    strategy: Literal["fractions", "index_ranges", "given"]
    classes: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(unique)] | None
    max_per_class: Count | dict[str, Count] | None
    validation: ProperFraction
    fractions: dict[Split, Fraction]
    index_ranges: dict[Split, tuple[Natural, Natural]]

    @model_validator(mode="after")
    def _consistent(self) -> "SplitParams":
        total = sum(self.fractions.values())
        if set(self.fractions) != set(SPLITS) or abs(total - 1) > 1e-9:
            raise ValueError(f"fractions must name {', '.join(SPLITS)} and sum to 1, not {total:g}")
        if set(self.index_ranges) != set(SPLITS):
            raise ValueError(f"index_ranges must name {', '.join(SPLITS)}")
        ranges = sorted(self.index_ranges.values())
        if any(last < first for first, last in ranges):
            raise ValueError("an index range's last number must not be below its first")
        if any(after[0] <= before[1] for before, after in pairwise(ranges)):
            raise ValueError("index_ranges must not overlap")
        return self
