"""The score of a training run, and how one tells how it does."""

from collections.abc import Callable
from typing import Any, NamedTuple

Report = Callable[[int, float], None]
Train = Callable[[Any, int, Report], "Score"]


class Score(NamedTuple):
    """The score of a training run on the validation images, as its method keeps it.

    Attributes:
        loss: log loss in nats, without penalty and label smoothing.
        accuracy: in [0, 1].
        epochs: that it took; 0 of a method without.
    """

    loss: float
    accuracy: float
    epochs: int
