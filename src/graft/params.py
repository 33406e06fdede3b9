"""params.yaml -> frozen, validated objects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from graft.blocks import (
    GEOMETRIC,
    Augmentation,
    Backbone,
    Block,
    CachedMethod,
    Demo,
    Explain,
    Features,
    Inline,
    Metrics,
    Prepare,
    Scratch,
    Seed,
    Seeds,
    SplitParams,
)


class ParamsError(ValueError):
    """params.yaml is not valid; the text names each key, what was expected and what was received."""


class Params(Block):
    """The whole of params.yaml."""

    seed: Seed
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
    seeds: Seeds
    two_stage: CachedMethod
    two_stage_views: CachedMethod
    inline: Inline
    scratch: Scratch
    metrics: Metrics
    explain: Explain

    @model_validator(mode="after")
    def _known_names(self) -> "Params":
        datasets = sorted(p.stem for p in (Path(__file__).parent / "datasets").glob("[!_]*.py"))
        for key, legal in (("dataset", datasets), ("backbone", sorted(self.backbones))):
            if getattr(self, key) not in legal:
                raise ValueError(f"{key} must be one of {', '.join(legal)}, not {getattr(self, key)!r}")
        return self

    @model_validator(mode="after")
    def _vectors_have_no_geometry(self) -> "Params":
        pooling = self.backbones[self.backbone].pooling
        for name in ("two_stage", "two_stage_views"):
            method: CachedMethod = getattr(self, name)
            operations = method.feature_augmentation
            wrong = [
                f"feature_augmentation.{key}={getattr(operations, key)}"
                for key, nothing in GEOMETRIC.items()
                if getattr(operations, key) != nothing
            ]
            wrong += ["mix=cutmix"] if method.mix == "cutmix" else []
            if pooling != "none" and wrong:
                raise ValueError(
                    f"{name}.{wrong[0]} moves parts of feature maps, but backbones.{self.backbone}.pooling="
                    f"{pooling} makes vectors; set pooling to none there, or remove it here"
                )
        return self


def parse_params(values: Mapping[str, Any]) -> Params:
    """Validate the content of a params.yaml.

    Raises:
        ParamsError: naming every key that is unknown, missing, of a wrong type or out of range.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        errors = [each for each in error.errors() if not _follows_from_another(each, error.errors())]
        raise ParamsError("\n".join(["params.yaml is not valid:", *map(_explain, errors)])) from None


def _follows_from_another(error: Any, errors: Sequence[Any]) -> bool:
    """Whether a list is too short only because of an item that is reported itself."""
    inside = [each for each in errors if each["loc"][: len(error["loc"])] == error["loc"]]
    return error["type"] == "too_short" and len(inside) > 1


def _explain(error: Any) -> str:
    # Without the names of pydantic's own types, which stand among the keys of a union.
    parts = [str(part) for part in error["loc"] if not str(part).startswith(("constrained-", "dict["))]
    key = ".".join(parts)
    if error["type"] == "extra_forbidden":
        legal = ", ".join(_legal_keys(error["loc"][:-1]))
        received = f"received {error['input']!r}; legal here: {legal}"
        return f"  {key}: unknown key; remove it or correct its name ({received})"
    if error["type"] == "missing":
        return f"  {key}: missing; add it (the commented default is in the repository's params.yaml)"
    message = error["msg"].removeprefix("Value error, ").replace("Tuple", "List")
    received = "" if error["type"] == "value_error" else f", received {error['input']!r}"
    return f"  {f'{key}: ' if key else ''}{message[0].lower()}{message[1:]}{received}"


def _legal_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the block at that place of params.yaml."""
    block: Any = Params
    for part in location:
        annotation = block.model_fields[part].annotation if part in block.model_fields else block
        block = get_args(annotation)[-1] if get_args(annotation) else annotation  # dict[str, Backbone]
    return list(block.model_fields)


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
