"""The data of a training run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

Predictions = tuple[pd.DataFrame, Mapping[str, Any]]  # of `graft.evaluation.predictions.read_predictions`


@dataclass(frozen=True)
class Run:
    """The data of a training run, and where it may write while it trains.

    Attributes:
        manifest: of all splits.
        images: `data/images`.
        features: `data/features`.
        views: `data/views`.
        backbone: the file of the backbone that made the features.
        temporary: folder for arrays that are larger than `features.memory_limit`.
        live: folder for the curve while it trains; None: nowhere.
        checkpoints: folder for the state after each epoch; None: nowhere.
        models: `models`, with a folder for each method that is trained already; None: there is none.
        read_predictions: from the name of such a method to frame and facts of its predictions.
    """

    manifest: pd.DataFrame
    images: Path
    features: Path
    views: Path
    backbone: Path
    temporary: Path
    live: Path | None = None
    checkpoints: Path | None = None
    models: Path | None = None
    read_predictions: Callable[[str], Predictions] | None = None
