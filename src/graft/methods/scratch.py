"""From scratch: a small network without transfer, the baseline that shows what transfer is worth."""

from types import SimpleNamespace

from graft.config.features import Augmentation
from graft.config.training import Scratch
from graft.config.types import Positive
from graft.methods.outcome import Outcome
from graft.methods.run import Run
from graft.methods.small_network import train_network

PARAMS = {"features.memory_limit": Positive, "augmentation": Augmentation, "scratch": Scratch}


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Train a network on view e + 1 of each image in epoch e (from 0)."""
    return train_network("scratch", params, run)
