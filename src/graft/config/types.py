"""The vocabulary that the schemas share: splits, kinds of numbers, and `Block`."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
ColorMode = Literal["rgb", "grayscale"]


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, received {value}")
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]
Count = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Fraction = Annotated[Number, Field(ge=0, le=1, allow_inf_nan=False)]
Below1 = Annotated[Number, Field(ge=0, lt=1, allow_inf_nan=False)]
ProperFraction = Annotated[Number, Field(gt=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[Number, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Validate that no value repeats."""
    if len(set(values)) < len(values):
        raise ValueError(f"expected each value once, received {list(values)!s:.300}")
    return values


Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(unique)]


class Block(BaseModel):
    """A block of params.yaml: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
