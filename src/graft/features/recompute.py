"""Embed some cached rows again and compare: finds another machine's drift, and changed values.

Differences are relative to the largest absolute value of a row's feature: the error of a sum goes with
the size of its terms, so that a value near zero may be off by many times itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graft.data.images import load_pixels
from graft.features.extraction import Embedding
from graft.features.format import Row, load_features, read_metadata, read_rows
from graft.models.backbones import make_embedder

ROWS_AT_ONCE = 256
SMALLEST_SCALE = 2.0**-14  # below, float16 is not relative any more
VERSIONS = ("keras", "tensorflow")  # what another version changes is drift: measured, not refused
TOLERANCES = {"float32": 2.0**-10, "bfloat16": 2.0**-5}


@dataclass(frozen=True)
class Drift:
    """The distance of cached features from what the backbone gives now.

    Attributes:
        differences: (row, largest difference of its values relative to its largest value), the largest
            first; a NaN in the cache is an infinite difference.
        tolerance: the largest difference that rounding and another machine explain. For float32 2^-10:
            2^-11 is the rounding to float16, the rest (5e-4) for another order of summation. For bfloat16
            2^-5: every layer rounds to 8 bits, and another order of summation ends on the other side of
            some of these roundings.
        versions: of Keras and TensorFlow where those that made the features differ from those here.
    """

    differences: list[tuple[Row, float]]
    tolerance: float
    versions: dict[str, str]

    @property
    def beyond(self) -> list[tuple[Row, float]]:
        """The differences that exceed the tolerance."""
        return [(row, value) for row, value in self.differences if value > self.tolerance]


def measure_drift(images: Path, features: Mapping[Path, Embedding], n: int, seed: int) -> Drift:
    """Embed `n` rows, chosen with `seed`, again, half of them augmented views, and compare.

    Args:
        images: `data/images`.
        features: `data/features` and `data/views`, which may have no rows -> what gives them now.
        n: at least 1.
        seed: of the choice.

    Raises:
        ValueError: if a folder carries another fingerprint; versions apart.
    """
    versions: dict[str, str] = {}
    folder_of: dict[Row, Path] = {}
    for folder, embedding in features.items():
        files = sorted(folder.glob("*.parquet"))
        versions |= _differing(folder, files[0], embedding) if files else {}
        folder_of |= {row: folder for file in files for row in read_rows(file)}
    chosen = choose_rows(list(folder_of), n, seed)
    differences: list[tuple[Row, float]] = []
    for folder, embedding in features.items():
        rows = [row for row in chosen if folder_of[row] == folder]
        embed = make_embedder(embedding.model, embedding.row.batch_size)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            cached = load_features([folder], some, math.inf, Path())
            pixels = load_pixels(images, [key for key, _ in some], embedding.row.image_size)
            fresh = embed(embedding.augment(pixels, some))
            differences += zip(some, _relative(cached.astype(np.float32), fresh), strict=True)
    differences.sort(key=lambda difference: -difference[1])
    precision = next(iter(features.values())).precision
    return Drift(differences, TOLERANCES[precision], versions)


def _differing(folder: Path, shard: Path, embedding: Embedding) -> dict[str, str]:
    """Find which versions differ between those that made a folder's features and those here."""
    made_with, now = read_metadata(shard)["fingerprint"], embedding.fingerprint
    pairs = {key: (made_with.get(key), now.get(key)) for key in sorted(made_with.keys() | now.keys())}
    others = {key: f"{before}, now {after}" for key, (before, after) in pairs.items() if before != after}
    versions = {key: others.pop(key) for key in VERSIONS if key in others}
    if others:
        found = "".join(f"\n  {key}: {values}" for key, values in others.items())
        raise ValueError(
            f"{folder.as_posix()} was made with another fingerprint than params.yaml gives now:{found}\n"
            "run `dvc repro` first, or go back to those parameters"
        )
    return versions


def choose_rows(rows: Sequence[Row], n: int, seed: int) -> list[Row]:
    """Choose `n` rows, half of them augmented views as far as there are enough of both kinds; sorted."""
    plain, views = ([row for row in sorted(rows) if (row[1] > 0) == augmented] for augmented in (False, True))
    n_views = min(len(views), max(n // 2, n - len(plain)))
    n_plain = min(len(plain), n - n_views)
    rng = np.random.default_rng(seed)
    chosen = [(rng.permutation(len(plain))[:n_plain], plain), (rng.permutation(len(views))[:n_views], views)]
    return sorted(kind[i] for places, kind in chosen for i in places)


def _relative(cached: np.ndarray, fresh: np.ndarray) -> list[float]:
    axes = tuple(range(1, fresh.ndim))
    scale = np.maximum(np.abs(fresh).max(axes), SMALLEST_SCALE)
    values: list[float] = np.nan_to_num(np.abs(cached - fresh).max(axes) / scale, nan=np.inf).tolist()
    return values
