"""The features of plain images as vectors, a row an image: what compares images with each other."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from graft.features.format import read_features, shard_files


def read_vectors(folder: Path, keys: Collection[str]) -> tuple[list[str], np.ndarray]:
    """Read the features of some images, averaged over a map's places; a shard at a time, as maps are large.

    Args:
        folder: `data/features`.
        keys: of the images.

    Returns:
        The keys, sorted, and (n, d) float32.

    Raises:
        FileNotFoundError: if there are no features.
        ValueError: if those of an image are not there.
    """
    wanted, found, parts = set(keys), list[str](), []
    for file in shard_files(folder):
        rows, features = read_features(file)
        chosen = [i for i, (key, view) in enumerate(rows) if key in wanted and view == 0]
        found += [rows[i][0] for i in chosen]
        parts.append(features[chosen].astype(np.float32).mean(axis=tuple(range(1, features.ndim - 1))))
    if missing := wanted.difference(found):
        raise ValueError(f"{len(missing)} images are not in {folder}: run `dvc repro`")
    order = np.argsort(found)
    return sorted(found), np.concatenate(parts)[order]
