"""A backbone that embeds images, and the fingerprint of what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from graft import BACKEND
from graft.config.features import RANDOM, BackboneRow, EngineName, FeaturePrecision, weights_name
from graft.config.types import Seed, Text
from graft.data.decoding import load_pixels
from graft.features.engines.keras import KERAS, Engine
from graft.features.format import FORMAT, Row
from graft.models.backbones import library_facts
from graft.models.serialization import weights_sha256

PARAMS = {
    "seed": Seed,
    "backbone": Text,
    "backbones.${backbone}": BackboneRow,
    "weights": Text,
    "features.engine": EngineName,
    "features.precision": FeaturePrecision,
}


@dataclass(frozen=True)
class Embedding:
    """A backbone and all else that determines a feature besides the image.

    Attributes:
        model: from float32 pixels in [0, 255] to features.
        row: the backbone's row of params.yaml.
        weights: ``random``, ``bundled``, ``imagenet`` or a path, of which the name is kept.
        precision: what the engine computes in.
        engine: what runs the model.
    """

    model: keras.Model
    row: BackboneRow
    weights: str
    precision: FeaturePrecision
    engine: Engine = field(default=KERAS, kw_only=True)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All of it by name."""
        return {
            "format": FORMAT,
            **self.row.facts(),
            "weights": weights_name(self.weights),
            "pretrained": self.weights != RANDOM,
            "weights_sha256": weights_sha256(self.model),
            "resampling": "Pillow bilinear, antialiased",
            "precision": self.precision,
            "keras": keras.__version__,
            BACKEND: version(BACKEND),
            **library_facts(self.model, self.row),
            **self.engine.facts(self.precision),
        }

    @cached_property
    def embed(self) -> Callable[[np.ndarray], np.ndarray]:
        """From (n, size, size, 3) pixels, augmented where they are to be, to (n, ...) float32 features."""
        return self.engine.prepare(self.model, self.row.batch_size, self.precision)

    def augment(self, pixels: np.ndarray, rows: Sequence[Row]) -> np.ndarray:  # noqa: ARG002
        """Turn the decoded images of (key, view) rows into what the model takes."""
        return pixels

    def embed_rows(self, images: Path, rows: Sequence[Row]) -> np.ndarray:
        """Embed the (key, view) rows of images in `data/images`; returns (n, ...) float32 features."""
        pixels = load_pixels(images, [key for key, _ in rows], self.row.image_size)
        return self.embed(self.augment(pixels, rows))
