"""Keras itself: the engine of every feature unless another is chosen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from graft.config.features import FeaturePrecision
from graft.models.backbones import make_embedder


class Engine(Protocol):
    """Runs a backbone."""

    def facts(self, precision: FeaturePrecision) -> dict[str, Any]:
        """All that determines a feature besides the backbone and the precision, by name."""

    def prepare(
        self, model: keras.Model, batch_size: int, precision: FeaturePrecision
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Prepare to run a backbone in batches of one constant shape.

        Args:
            model: from float32 pixels in [0, 255] to features.
            batch_size: how many images it embeds at once.
            precision: that it computes in.

        Returns:
            Function from (n, size, size, 3) pixels in [0, 255] to (n, ...) float32 features, any n > 0. The
            features of an image do not depend on the others, on its place, or on the number of threads.
        """


@dataclass(frozen=True)
class Keras:
    """Keras, on the backend that computes for it; the model was built in the precision."""

    def facts(self, precision: FeaturePrecision) -> dict[str, Any]:  # noqa: ARG002
        """Nothing: the fingerprint names Keras in any case."""
        return {}

    def prepare(
        self,
        model: keras.Model,
        batch_size: int,
        precision: FeaturePrecision,  # noqa: ARG002
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Compile the model; see `Engine.prepare`."""
        return make_embedder(model, batch_size)


KERAS = Keras()
