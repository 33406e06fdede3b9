"""The whole of params.yaml: the blocks of every area, and one for each method."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError, create_model, model_validator

from graft.config.data import Folder, Prepare, SplitParams
from graft.config.evaluation import Metrics
from graft.config.features import Augmentation, BackboneRow, Features, check_weights
from graft.config.load import ParamsError, explain_errors
from graft.config.predict import Predict
from graft.config.report import Explain
from graft.config.training import CachedMethod, Distilled, check_moves, check_teacher
from graft.config.tuning import Tune, read_space
from graft.config.types import Block, Seed, Seeds, Text
from graft.data.datasets import list_datasets
from graft.methods.registry import METHODS


class _Areas(Block):
    seed: Seed
    dataset: str
    source: str
    folder: Folder
    prepare: Prepare
    split: SplitParams
    backbone: str
    weights: Text
    backbones: dict[str, BackboneRow]
    features: Features
    augmentation: Augmentation
    seeds: Seeds
    predict: Predict
    metrics: Metrics
    explain: Explain
    tune: Tune

    @model_validator(mode="after")
    def _known_names(self) -> "_Areas":
        for key, legal in (("dataset", list_datasets()), ("backbone", sorted(self.backbones))):
            if getattr(self, key) not in legal:
                raise ValueError(f"{key} must be one of {', '.join(legal)}, not {getattr(self, key)!r}")
        return self

    @model_validator(mode="after")
    def _weights_of_the_backbone(self) -> "_Areas":
        check_weights(self.weights, self.backbones[self.backbone])
        return self

    @model_validator(mode="after")
    def _methods_that_fit(self) -> "_Areas":
        for name in METHODS:
            method = getattr(self, name)
            if isinstance(method, CachedMethod):
                check_moves(name, method, self.backbones[self.backbone].pooling)
            if isinstance(method, Distilled):
                check_teacher(name, method, METHODS)
        return self

    @model_validator(mode="after")
    def _legal_searches(self) -> "_Areas":
        pooling = self.backbones[self.backbone].pooling
        for name, values in self.tune:
            method = getattr(self, name)
            try:
                read_space(values, method.model_dump(), partial(_build, name, type(method), pooling))
            except ValueError as error:
                raise ValueError(f"tune.{name}: {error}") from None
        return self


def _build(name: str, schema: Any, pooling: str, values: Mapping[str, Any]) -> None:
    method = schema.model_validate(values)
    if isinstance(method, CachedMethod):
        check_moves(name, method, pooling)


_blocks: Any = {name: (method.load_schema(), ...) for name, method in METHODS.items()}
Params: Any = create_model("Params", __base__=_Areas, **_blocks)


def parse_params(values: Mapping[str, Any]) -> Any:
    """Validate the content of a whole params.yaml.

    Returns:
        `Params`: an attribute for each key.

    Raises:
        ParamsError: naming every key that is unknown, missing, of a wrong type or out of range.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ParamsError("\n".join(["params.yaml is not valid:", *explain_errors(error, Params)])) from None
