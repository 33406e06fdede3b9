"""The block `split` of params.yaml with changes, and the sizes of what it gives."""

from typing import Any

import pandas as pd

from graft.config.data import SplitParams
from graft.config.load import read_params
from graft.config.types import SPLITS
from helpers.repository import ROOT

DEFAULTS = read_params(ROOT / "params.yaml")["split"]


def split_params(**changes: Any) -> SplitParams:
    """The block `split` of params.yaml with changes."""
    return SplitParams.model_validate({**DEFAULTS, **changes})


def sizes(manifest: pd.DataFrame, label: str) -> tuple[int, ...]:
    """The number of images of a class in train, validation and test."""
    found = manifest.loc[manifest["label"] == label, "split"].value_counts()
    return tuple(int(found.get(split, 0)) for split in SPLITS)
