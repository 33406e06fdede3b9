"""The blocks of params.yaml; its comments there say what a value means."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]
Precision = Literal["float32", "bfloat16"]
LabelConflicts = Literal["refuse", "reject"]
ColorMode = Literal["rgb", "grayscale"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Mix = Literal["none", "mixup", "cutmix"]


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, received {value}")
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]
Count = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Fraction = Annotated[Number, Field(ge=0, le=1, allow_inf_nan=False)]
Below1 = Annotated[Number, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[Number, Field(ge=0, allow_inf_nan=False)]


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"expected each value once, received {list(values)}")
    return values


Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_unique)]


class Block(BaseModel):
    """A block of params.yaml: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Demo(Block):
    images_per_class: Count
    image_size: Annotated[int, Field(ge=32, le=512, strict=True)]


class Prepare(Block):
    max_rejected: Fraction
    max_pixels: Count
    label_conflicts: LabelConflicts


class SplitParams(Block):
    strategy: Literal["fractions", "index_ranges", "given"]
    classes: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_unique)] | None
    max_per_class: Count | dict[str, Count] | None
    validation: Annotated[Number, Field(gt=0, lt=1, allow_inf_nan=False)]
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


class Backbone(Block):
    application: str
    preprocessing: str
    layer: str | None
    pooling: Literal["none", "avg", "max"]
    image_size: Annotated[int, Field(ge=16, le=2048, strict=True)]
    batch_size: Count


class Features(Block):
    views: Natural
    precision: Precision
    memory_limit: Positive


class Augmentation(Block):
    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"]
    rotation: Fraction
    zoom: Below1
    translation: Fraction
    crop: Below1
    brightness: Fraction
    contrast: Fraction
    fill_mode: Literal["reflect", "wrap", "nearest", "constant"]
    interpolation: Literal["bilinear", "nearest"]


# The operations that move pixels, and what each is when it does nothing.
GEOMETRIC = {"flip": "none", "rotation": 0, "zoom": 0, "translation": 0, "crop": 0}


class Head(Block):
    pooling: Literal["flatten", "avg", "max"]
    standardise: StrictBool
    dense: tuple[Count, ...]
    batch_norm: StrictBool
    dropout: Below1
    l2: NotNegative


class Schedule(Block):
    name: Literal["constant", "reduce_on_plateau", "cosine", "exponential"]
    factor: Annotated[Number, Field(gt=0, lt=1, allow_inf_nan=False)]
    patience: Count


class Training(Block):
    optimizer: Optimizer
    learning_rate: Positive
    schedule: Schedule
    global_clipnorm: Positive | None
    label_smoothing: Below1
    class_weight: Literal["balanced"] | None
    sampling: Literal["shuffle", "balanced"]
    mix: Mix
    mix_alpha: Positive
    epochs: Count
    batch_size: Count
    patience: Count | None

    @model_validator(mode="after")
    def _balanced_once(self) -> "Training":
        if self.class_weight and self.sampling == "balanced":
            raise ValueError(
                "class_weight=balanced and sampling=balanced exclude each other, since each alone makes up "
                "for rare classes; set class_weight to null or sampling to shuffle"
            )
        return self

    @model_validator(mode="after")
    def _plateau_before_the_end(self) -> "Training":
        plateau = self.schedule.patience
        if self.schedule.name == "reduce_on_plateau" and self.patience and self.patience <= plateau:
            raise ValueError(
                f"patience={self.patience} stops the training before schedule.patience={plateau} could lower "
                "the learning rate; set patience to more than schedule.patience"
            )
        return self


class HeadMethod(Training):
    """A method that trains a head on a backbone."""

    head: Head


class CachedMethod(HeadMethod):
    """A method that trains a head on cached features."""

    feature_augmentation: Augmentation

    @model_validator(mode="before")
    @classmethod
    def _no_fine_tuning(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "fine_tune" in values:
            raise ValueError(
                "fine_tune changes the backbone, so it excludes cached features; remove it here and set "
                "inline.fine_tune"
            )
        return values


class FineTune(Block):
    blocks: Annotated[tuple[str, ...], AfterValidator(_unique)]
    layers: Natural
    optimizer: Optimizer
    learning_rate: Positive
    epochs: Count

    @model_validator(mode="after")
    def _one_choice(self) -> "FineTune":
        if self.blocks and self.layers:
            raise ValueError(
                f"blocks={list(self.blocks)} and layers={self.layers} exclude each other; "
                "set blocks to [] or layers to 0"
            )
        return self


class Inline(HeadMethod):
    seeds: Seeds
    precision: Precision
    fine_tune: FineTune


class Scratch(Training):
    seeds: Seeds
    precision: Precision
    image_size: Annotated[int, Field(ge=8, le=512, strict=True)]
    color_mode: ColorMode
    layers: Annotated[
        tuple[Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)], ...],
        Field(min_length=1),
    ]


class Metrics(Block):
    confidence: Annotated[Number, Field(gt=0, lt=1)]
    calibration_bins: Count


class Explain(Block):
    mistakes: Natural
    hesitant: Natural
