"""Two-stage with views: in epoch e the head sees the cached view 1 + (e mod K) of each image."""

from types import SimpleNamespace

from graft.config.training import CachedMethod
from graft.config.types import Natural, Positive, Seeds, Text
from graft.methods.cached import train_on_features
from graft.methods.outcome import Outcome
from graft.methods.run import Run

PARAMS = {
    "backbone": Text,
    "weights": Text,
    "features.views": Natural,
    "features.memory_limit": Positive,
    "seeds": Seeds,
    "two_stage_views": CachedMethod,
}


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Train a head on the features of `features.views` views of each training image."""
    return train_on_features(params.two_stage_views, params, run, params.views)
