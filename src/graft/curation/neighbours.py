"""Images by their features -> nearest neighbours, near-duplicates, and images unlike any other."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from graft.models.heads import SHORTEST, pool

BATCH_SIZE = 256
NEIGHBOURS = 20  # of an image; no more near-duplicates of it are found
SIMILAR = 0.95
# A near-duplicate's first image is that of test, so that its second may be dropped.
RANKS = {"test": 0, "validation": 1, "train": 2}


class Neighbours(NamedTuple):
    """The nearest neighbours of each image: (n, k) similarities, the highest first, and (n, k) places."""

    similarities: np.ndarray
    places: np.ndarray


def to_vectors(features: np.ndarray) -> np.ndarray:
    """Pool features (n, h, w, c) or (n, c), which may be memory-mapped, to (n, d) float32 of length 1.

    The product of two is their cosine, which is what `similarity` means everywhere.
    """
    starts = range(0, len(features), BATCH_SIZE)
    batches = (features[start : start + BATCH_SIZE].astype(np.float32) for start in starts)
    return to_unit(np.concatenate([pool(batch, "avg") for batch in batches]))


def to_unit(vectors: np.ndarray) -> np.ndarray:
    """Scale each row (n, d) to length 1; a row of zeros stays.

    >>> to_unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, SHORTEST))


def find_neighbours(vectors: np.ndarray) -> Neighbours:
    """Find the `NEIGHBOURS` nearest of each image, or all others of a smaller dataset, by their vectors."""
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(vectors) - 1)).fit(vectors)
    distances, places = nearest.kneighbors()
    return Neighbours(1 - distances**2 / 2, places)


def find_duplicates(
    manifest: pd.DataFrame, features: np.ndarray, neighbours: Neighbours, similar: float
) -> pd.DataFrame:
    """List the pairs of images that may be one: cut, scaled or saved once more.

    Args:
        manifest: frame ``key, path, label, split``.
        features: of these images, (n, h, w, c) or (n, c).
        neighbours: of these images.
        similar: the lowest similarity, of the pooled features as of the whole ones, in which places count.

    Returns:
        A row a pair: ``similarity`` of the whole features; ``leak``, whether one image is of test and the
        other is not; ``key``, ``path``, ``label`` and ``split`` of one image, of test where there is a leak,
        and ``other_key`` ... of the other. Leaks come first, then other pairs across splits, the most similar
        first.
    """
    near, n = np.nonzero(neighbours.similarities >= similar)
    ranks = manifest["split"].map(RANKS).to_numpy() * len(manifest) + np.arange(len(manifest))
    both = np.stack([near, neighbours.places[near, n]], 1)
    both = np.unique(np.take_along_axis(both, ranks[both].argsort(1), 1), axis=0)
    similarities = _compare_whole(features, both)
    both, similarities = both[similarities >= similar], similarities[similarities >= similar]
    one, other = (manifest.iloc[places].reset_index(drop=True) for places in both.T)
    across = one["split"] != other["split"]
    leak = across & (one["split"] == "test")
    pairs = pd.concat([one, other.add_prefix("other_")], axis=1)
    pairs.insert(0, "similarity", similarities)
    pairs.insert(1, "leak", leak)
    ranked: pd.DataFrame = pairs.iloc[np.lexsort((-similarities, ~across, ~leak))]
    return ranked.reset_index(drop=True)


def _compare_whole(features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Compare features that were not pooled: the (m,) similarities of pairs (m, 2) of places."""
    similarities = np.empty(len(pairs))
    for start in range(0, len(pairs), BATCH_SIZE):
        places = pairs[start : start + BATCH_SIZE]
        one, other = (to_unit(features[at].reshape(len(at), -1).astype(np.float32)) for at in places.T)
        similarities[start : start + len(places)] = (one * other).sum(1)
    return similarities


def find_outliers(manifest: pd.DataFrame, neighbours: Neighbours) -> pd.DataFrame:
    """List the images that are further from their nearest neighbours than others are from theirs.

    That is below the lower fence of Tukey 1977: the first quartile less 1.5 times the range to the third.

    Returns:
        The manifest's columns, and ``similarity``, the mean to the neighbours; the lowest first.
    """
    rows = manifest.assign(similarity=neighbours.similarities.mean(1))
    first, third = rows["similarity"].quantile([0.25, 0.75])
    outliers = rows[rows["similarity"] < first - 1.5 * (third - first)]
    return outliers.sort_values("similarity", ignore_index=True)
