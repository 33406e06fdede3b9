"""The data in params.yaml: `prepare`, `split`."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from graft.config.types import SPLITS, Block, Count, Fraction, Natural, ProperFraction, Split, unique

Layout = Literal["auto", "classes", "splits"]
BitDepth = Annotated[int, Field(ge=8, le=16, strict=True)]


def _is_encoding(name: str) -> str:
    try:
        b"a".decode(name, "replace")  # of nothing, no name is checked
    except LookupError:
        raise ValueError(f"expected an encoding such as gbk or shift_jis, received {name!r}") from None
    return name


class Folder(Block):
    layout: Layout
    encoding: Annotated[str, AfterValidator(_is_encoding)] | None


class Prepare(Block):
    max_rejected: Fraction  # share of the images
    max_pixels: Count  # height x width; more are rejected before any is decoded
    label_conflicts: Literal["refuse", "reject"]  # all copies, since nobody knows which label is right
    empty_classes: Literal["refuse", "drop"]
    bit_depth: BitDepth  # of the values in 16-bit images


def _by_class(limits: object) -> object:
    """Read ``{class: number}``, or pairs: Hydra, which reads a `-S`, takes no quotes around a key."""
    if limits is None or isinstance(limits, int):
        return limits
    try:
        pairs = dict(limits)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        pairs = {None: None}
    names = {str(name) if type(name) is int else name: limit for name, limit in pairs.items()}
    if all(isinstance(name, str) for name in names) and len(names) == len(limits):  # type: ignore[arg-type]
        return names
    raise ValueError(
        'expected a number, {class: number}, or [["class", number], ...] where a name is no plain word, '
        f"received {limits!r:.300}"
    )


class SplitParams(Block):
    strategy: Literal["fractions", "index_ranges", "given"]
    classes: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(unique)] | None
    min_per_class: Count
    max_per_class: Annotated[Count | dict[str, Count] | None, BeforeValidator(_by_class)]
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
