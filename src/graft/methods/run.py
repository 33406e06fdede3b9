"""The data of a training run."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd


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
        trained: folder of the ``models/`` and ``predictions/`` of methods trained before.
    """

    manifest: pd.DataFrame
    images: Path
    features: Path
    views: Path
    backbone: Path
    temporary: Path
    live: Path | None = None
    checkpoints: Path | None = None
    trained: Path = Path()
