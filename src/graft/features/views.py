"""The embedding of augmented images: in its own module, so that a new operation stales no plain features."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from graft.config.features import Augmentation, Precision
from graft.config.types import Natural
from graft.data.augmentation import augment, effective
from graft.features import embedding
from graft.features.embedding import Embedding
from graft.features.engines.keras import Engine
from graft.features.format import Row
from graft.models.backbones import Backbone

PARAMS = embedding.PARAMS | {"features.views": Natural, "augmentation": Augmentation}


@dataclass(frozen=True)
class ViewEmbedding(Embedding):
    """An embedding of augmented images; its fingerprint has what of the augmentation does something."""

    augmentation: Augmentation

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that determines a feature besides the image and the number of the view, by name."""
        return {**super().fingerprint, "augmentation": effective(self.augmentation)}

    def augment(self, pixels: np.ndarray, rows: Sequence[Row]) -> np.ndarray:
        """Turn the decoded images of (key, view) rows into what the model takes."""
        keys, views = zip(*rows, strict=True)
        return augment(pixels, keys, views, self.augmentation)


def build_embeddings(
    params: SimpleNamespace, engine: Engine, precision: Precision
) -> tuple[Embedding, "ViewEmbedding"]:
    """Build the embeddings of plain images and of augmented views, which share the backbone.

    Args:
        params: the values of params.yaml that they are made of.
        engine, precision: as `graft.features.engines.choice.choose_engine` gives them.
    """
    model = Backbone(params.row, params.weights, params.seed).build(precision)
    made = model, params.row, params.weights, params.precision
    return Embedding(*made, engine=engine), ViewEmbedding(*made, params.augmentation, engine=engine)
