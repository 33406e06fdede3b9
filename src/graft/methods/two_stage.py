"""Two-stage: a Keras head on the cached features of the plain images."""

from types import SimpleNamespace

from graft.config.training import CachedMethod
from graft.config.types import Positive, Seeds, Text
from graft.methods.cached import train_on_features
from graft.methods.outcome import Outcome
from graft.methods.run import Run

PARAMS = {
    "backbone": Text,
    "weights": Text,
    "features.memory_limit": Positive,
    "seeds": Seeds,
    "two_stage": CachedMethod,
}


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Train a head on the plain images' features."""
    return train_on_features(params.two_stage, params, run, views=0)
