"""The methods that can be tuned: a function that trains each on cached features, without test images."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from graft.config.training import Linear
from graft.methods.cached import Cached, load_cached
from graft.methods.linear import Room, choose_grid, fit_regression, reduce_rows, resample, to_rows
from graft.methods.run import Run
from graft.models.heads import fit_scaler
from graft.tuning.heads import HeadTrainer
from graft.tuning.score import Report, Score, Train


def load_trainer(method: str, run: Run, params: Any) -> Train:
    """Load the cached features of train and validation, and make the function that trains a method on them.

    Args:
        method: ``linear``, ``two_stage`` or ``two_stage_views``.
        run: its manifest, features, views and folder for large arrays are used.
        params: of `graft.methods.params.parse_params`.
    """
    views = params.features.views if method == "two_stage_views" else 0
    cached = load_cached(run, views, params.features.memory_limit, ("validation",))
    room = Room(cached.memory_limit, run.temporary)
    return LinearTrainer(cached, room) if method == "linear" else HeadTrainer(cached)


class LinearTrainer:
    """Fits a logistic regression on cached features as `graft.methods.linear` does."""

    def __init__(self, cached: Cached, room: Room) -> None:
        self._cached, self._room = cached, room
        self._rows = lru_cache(maxsize=3)(self._reduce)

    def __call__(self, block: Linear, seed: int, report: Report) -> Score:  # noqa: ARG002
        """Fit it; nothing is random, and nothing is told on the way."""
        x = self._rows(block.model_copy(update={"C": None, "class_weight": None, "sampling": None}))
        rows = resample(x, self._cached.labels, block, self._room.memory_limit)
        _, history = fit_regression(*rows, choose_grid(block), block)
        best = history.iloc[int(history["val_loss"].argmin())]
        return Score(float(best["val_loss"]), float(best["val_accuracy"]), 0)

    def _reduce(self, block: Linear) -> Mapping[str, np.ndarray]:
        plain, standard = self._cached.plain, block.normalise == "standardise"
        scaler = fit_scaler(plain["train"], block.pooling) if standard else None
        x = {
            split: to_rows(features, block, scaler, self._room, f"{split}-{block.normalise}-{block.pooling}")
            for split, features in plain.items()
        }
        return reduce_rows(x)[1]
