"""params.yaml -> frozen, validated objects.

Each class is one block of ``params.yaml``; its comments there say what a value means.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)

SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]
Precision = Literal["float32", "bfloat16"]
LabelConflicts = Literal["refuse", "reject"]
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
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]


class ParamsError(ValueError):
    """params.yaml is not valid; the text names each key, what was expected and what was received."""


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
    layer: str
    pooling: Literal["none", "avg", "max"]
    image_size: Annotated[int, Field(ge=16, le=2048, strict=True)]
    batch_size: Count
    url: str | None
    md5: str | None


class Features(Block):
    views: Count
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


class Head(Block):
    pooling: Literal["flatten", "avg", "max"]
    standardise: StrictBool
    dense: tuple[Count, ...]
    dropout: Below1


class Training(Block):
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"]
    learning_rate: Positive
    epochs: Count
    batch_size: Count
    patience: Count | None


class HeadMethod(Training):
    """A method that trains a head on a frozen backbone."""

    head: Head


class Inline(HeadMethod):
    precision: Precision


class Scratch(Training):
    image_size: Annotated[int, Field(ge=8, le=512, strict=True)]
    color_mode: ColorMode
    layers: Annotated[
        tuple[Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)], ...],
        Field(min_length=1),
    ]


class Metrics(Block):
    confidence: Annotated[Number, Field(gt=0, lt=1)]
    calibration_bins: Count


class Params(Block):
    """The whole of params.yaml."""

    seed: Natural
    dataset: str
    source: str
    demo: Demo
    prepare: Prepare
    split: SplitParams
    backbone: str
    weights: Annotated[str, Field(min_length=1)]
    backbones: dict[str, Backbone]
    features: Features
    augmentation: Augmentation
    two_stage: HeadMethod
    two_stage_views: HeadMethod
    inline: Inline
    scratch: Scratch
    metrics: Metrics

    @model_validator(mode="after")
    def _known_names(self) -> "Params":
        datasets = sorted(p.stem for p in (Path(__file__).parent / "datasets").glob("[!_]*.py"))
        for key, legal in (("dataset", datasets), ("backbone", sorted(self.backbones))):
            if getattr(self, key) not in legal:
                raise ValueError(f"{key} must be one of {', '.join(legal)}, not {getattr(self, key)!r}")
        return self


def parse_params(values: Mapping[str, Any]) -> Params:
    """Validate the content of a params.yaml.

    Raises:
        ParamsError: naming every key that is unknown, missing, of a wrong type or out of range.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ParamsError("\n".join(["params.yaml is not valid:", *map(_explain, error.errors())])) from None


def _explain(error: Any) -> str:
    # Without the names of pydantic's own types, which stand among the keys of a union.
    parts = [str(part) for part in error["loc"] if not str(part).startswith(("constrained-", "dict["))]
    key = ".".join(parts) or "params.yaml"
    if error["type"] == "extra_forbidden":
        return f"  {key}: unknown key; remove it or correct its name (received {error['input']!r})"
    if error["type"] == "missing":
        return f"  {key}: missing; add it (the commented default is in the repository's params.yaml)"
    message = error["msg"].removeprefix("Value error, ").replace("tuple", "list")
    received = "" if error["type"] == "value_error" else f", received {error['input']!r}"
    return f"  {key}: {message[0].lower()}{message[1:]}{received}"


def load_params(*keys: str, path: str | Path = "params.yaml") -> SimpleNamespace:
    """Read and validate the whole of params.yaml and hand out only some of its blocks.

    A stage names what it uses, so it cannot use a parameter that its DVC stage does not declare.
    ``row`` is the row of ``backbones`` that ``backbone`` selects.

    Args:
        keys: top-level keys, ``row``, or ``block.key`` for one value of a block (named by its key).
        path: the file.

    Raises:
        ParamsError: if the file is not YAML or its content is not valid.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"params.yaml is not YAML: {error}") from None
    params = parse_params(values or {})
    blocks = {**dict(params), "row": params.backbones[params.backbone]}
    chosen = {key: blocks[key] for key in keys if "." not in key}
    parts = [key.split(".") for key in keys if "." in key]
    return SimpleNamespace(**chosen, **{key: getattr(blocks[block], key) for block, key in parts})
