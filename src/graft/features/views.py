"""The views: what `graft.features.extraction` does, for augmented training images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graft.config.features import Augmentation
from graft.data.augmentation import augment, effective
from graft.features.extraction import Cache, Embedding, extract_rows
from graft.features.format import Row, view_rows


@dataclass(frozen=True)
class ViewEmbedding(Embedding):
    """An embedding of augmented images.

    Attributes:
        augmentation: of which the fingerprint has what does something.
    """

    augmentation: Augmentation

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that determines a feature besides the image and the number of the view, by name."""
        return {**super().fingerprint, "augmentation": effective(self.augmentation)}

    def augment(self, pixels: np.ndarray, rows: Sequence[Row]) -> np.ndarray:
        """Turn the decoded images of (key, view) rows into what the model takes."""
        keys, views = zip(*rows, strict=True)
        return augment(pixels, keys, views, self.augmentation)


def extract_views(
    images: Path, manifest: pd.DataFrame, embedding: ViewEmbedding, views: int, cache: Cache, output: Path
) -> dict[str, float]:
    """Embed the views 1..`views` of each training image of a manifest once.

    With `views` 0 the output is an empty folder; otherwise as `graft.features.extraction.extract_features`.
    """
    return extract_rows(images, view_rows(manifest, views), embedding, cache, output)
