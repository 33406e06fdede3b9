"""Embed some cached rows again and compare: finds another machine's drift, and changed values."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graft import BACKENDS
from graft.features.comparison import TOLERANCES, choose_rows, measure_differences
from graft.features.embedding import Embedding
from graft.features.format import Row, read_features, read_metadata, read_rows
from graft.utils.progress import track

ROWS_AT_ONCE = 256
Batch = tuple[Path, list[Row], np.ndarray]
VERSIONS = "keras", *BACKENDS, "openvino", "nncf"  # of another version is drift: measured, not refused


@dataclass(frozen=True)
class Drift:
    """The distance of cached features from what the backbone gives now.

    Attributes:
        differences: (row, largest difference of its values relative to its largest value), the largest
            first; a NaN in the cache is an infinite difference.
        tolerance: the largest difference that rounding and another machine explain.
        n: how many rows there are.
        versions: of libraries (`VERSIONS`) where those that made the features differ from those here.
    """

    differences: list[tuple[Row, float]]
    tolerance: float
    n: int
    versions: dict[str, str]

    @property
    def beyond(self) -> list[tuple[Row, float]]:
        """The differences that exceed the tolerance."""
        return [(row, value) for row, value in self.differences if value > self.tolerance]


def measure_drift(images: Path, features: Mapping[Path, Embedding], n: int | None, seed: int) -> Drift:
    """Embed `n` rows, chosen with `seed`, again, half of them augmented views, and compare.

    Args:
        images: `data/images`.
        features: `data/features` and `data/views`, which may have no rows -> what gives them now.
        n: at least 1; None: all.
        seed: of the choice.

    Raises:
        ValueError: if a folder carries another fingerprint; versions apart.
    """
    shards = {file: each for folder, each in features.items() for file in sorted(folder.glob("*.parquet"))}
    versions: dict[str, str] = {}
    for shard, embedding in shards.items():
        versions |= _differing(shard, embedding)
    rows = [row for shard in shards for row in read_rows(shard)]
    chosen = rows if n is None else choose_rows(rows, n, seed)
    differences: list[tuple[Row, float]] = []
    for shard, some, cached in track(_read(shards, {*chosen}), "embed again", len(chosen), "rows", _count):
        fresh = shards[shard].embed_rows(images, some)
        differences += zip(some, measure_differences(cached, fresh), strict=True)
    differences.sort(key=lambda difference: -difference[1])
    precision = next(iter(features.values())).precision
    return Drift(differences, TOLERANCES[precision], len(rows), versions)


def _read(shards: Iterable[Path], chosen: set[Row]) -> Iterator[Batch]:
    """Yield the chosen rows of each shard, at most `ROWS_AT_ONCE` of them, with their features."""
    for shard in shards:
        if chosen.isdisjoint(read_rows(shard)):
            continue
        rows, features = read_features(shard)
        places = [i for i, row in enumerate(rows) if row in chosen]
        for start in range(0, len(places), ROWS_AT_ONCE):
            some = places[start : start + ROWS_AT_ONCE]
            yield shard, [rows[i] for i in some], features[some]


def _count(batch: Batch) -> int:
    return len(batch[1])


def _differing(shard: Path, embedding: Embedding) -> dict[str, str]:
    """Find which versions differ between those that made a shard's features and those here."""
    made_with, now = read_metadata(shard)["fingerprint"], embedding.fingerprint
    pairs = {key: (made_with.get(key), now.get(key)) for key in sorted(made_with.keys() | now.keys())}
    others = {key: _tell_apart(*pair) for key, pair in pairs.items() if pair[0] != pair[1]}
    versions = {key: others.pop(key) for key in VERSIONS if key in others}
    versions = {key: values for key, values in versions.items() if key in made_with}
    if others:
        found = "".join(f"\n  {key}: {values}" for key, values in others.items())
        raise ValueError(
            f"{shard.parent.as_posix()} was made with another fingerprint than params.yaml gives now:"
            f"{found}\nrun `dvc repro` first, or go back to those parameters"
        )
    return versions


def _tell_apart(before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        return f"{len({*before} - {*after})} of {len(before)} images are others now"
    return f"{before!s:.100}, now {after!s:.100}"
