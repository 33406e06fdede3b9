"""The methods in params.yaml: a block each, made of the same parts."""

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, model_validator

from graft.config.features import GEOMETRIC, Augmentation, Precision
from graft.config.types import (
    Below1,
    Block,
    ColorMode,
    Count,
    Fraction,
    Natural,
    NotNegative,
    Positive,
    ProperFraction,
    Seeds,
    Text,
    unique,
)

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Mix = Literal["none", "mixup", "cutmix"]
Pooling = Literal["flatten", "avg", "max"]
Normalise = Literal["none", "standardise", "l2"]
MEMBERS = ("linear", "two_stage", "two_stage_views")  # of an ensemble: dvc.yaml lists their files
Sampling = Literal["shuffle", "balanced", "undersample", "smote"]


class Head(Block):
    pooling: Pooling
    normalise: Normalise
    dense: tuple[Count, ...]
    batch_norm: StrictBool
    dropout: Below1
    l2: NotNegative


class Schedule(Block):
    name: Literal["constant", "reduce_on_plateau", "cosine", "exponential"]
    factor: ProperFraction
    patience: Count


class Training(Block):
    optimizer: Optimizer
    learning_rate: Positive
    schedule: Schedule
    global_clipnorm: Positive | None
    label_smoothing: Below1
    class_weight: Literal["balanced"] | None
    sampling: Sampling
    mix: Mix
    mix_alpha: Positive
    epochs: Count
    batch_size: Count
    patience: Count | None

    @model_validator(mode="after")
    def _balanced_once(self) -> "Training":
        if self.class_weight and self.sampling != "shuffle":
            raise ValueError(
                f"class_weight=balanced and sampling={self.sampling} exclude each other, since each alone "
                "makes up for rare classes; set class_weight to null or sampling to shuffle"
            )
        return self

    @model_validator(mode="after")
    def _smote_of_features(self) -> "Training":
        if self.sampling == "smote" and not isinstance(self, CachedMethod):
            raise ValueError(
                "sampling=smote makes rows between cached features, but this method trains on pixels; set "
                "sampling to balanced or undersample"
            )
        return self

    @model_validator(mode="after")
    def _plateau_before_the_end(self) -> "Training":
        plateau = self.schedule.patience
        if self.schedule.name == "reduce_on_plateau" and self.patience and self.patience <= plateau:
            raise ValueError(
                f"patience={self.patience} stops training before schedule.patience={plateau} could lower "
                "the learning rate; set patience to more than schedule.patience"
            )
        return self


class Linear(Block):
    """The logistic regression on cached features."""

    pooling: Pooling
    normalise: Normalise
    C: Positive | None
    class_weight: Literal["balanced"] | None
    sampling: Literal["undersample", "smote"] | None

    @model_validator(mode="after")
    def _balanced_once(self) -> "Linear":
        if self.class_weight and self.sampling:
            raise ValueError(
                f"class_weight=balanced and sampling={self.sampling} exclude each other, since each alone "
                "makes up for rare classes; set one of them to null"
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
    blocks: Annotated[tuple[str, ...], AfterValidator(unique)]
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


class Distilled(Scratch):
    teacher: Text
    views: Count
    temperature: Positive
    alpha: Fraction


def _with_a_head(name: str) -> str:
    if name not in MEMBERS:
        raise ValueError(
            f"expected one of {', '.join(MEMBERS)}, whose heads share one backbone, received {name!r}"
        )
    return name


class Ensemble(Block):
    """The mean of the scores of heads on cached features."""

    members: Annotated[
        tuple[Annotated[str, AfterValidator(_with_a_head)], ...],
        Field(min_length=1),
        AfterValidator(unique),
    ]
    seeds: Literal["first", "all"]
    weights: Literal["equal", "validation"]


def check_moves(name: str, method: CachedMethod, pooling: str) -> None:
    """Check that a method moves parts of features only where they are feature maps.

    Raises:
        ValueError: if the backbone's `pooling` is not ``none``, which makes vectors, and the method called
            `name` would move positions or cut windows.
    """
    values = method.feature_augmentation.model_dump(include=set(GEOMETRIC))
    wrong = [f"feature_augmentation.{k}={value}" for k, value in values.items() if value != GEOMETRIC[k]]
    wrong += ["mix=cutmix"] if method.mix == "cutmix" else []
    if pooling != "none" and wrong:
        raise ValueError(
            f"{name}.{wrong[0]} moves parts of feature maps, but the backbone's pooling={pooling} makes "
            "vectors; set pooling to none in its row of backbones, or remove it here"
        )


def check_teacher(name: str, method: Distilled, methods: Collection[str]) -> None:
    """Check that the teacher of a method is another one of all `methods`.

    Raises:
        ValueError: if it is not.
    """
    legal = [each for each in methods if each != name]
    if method.teacher not in legal:
        raise ValueError(f"{name}.teacher must be one of {', '.join(legal)}, not {method.teacher!r}")


def check_smote(sampling: str | None) -> None:
    """Check that imbalanced-learn is installed where it is asked for, without importing it.

    Raises:
        ValueError: if it is not.
    """
    if sampling == "smote" and not find_spec("imblearn"):
        raise ValueError(
            "sampling=smote needs imbalanced-learn, which is not installed: pip install 'graft[smote]', or "
            "set sampling to undersample"
        )
