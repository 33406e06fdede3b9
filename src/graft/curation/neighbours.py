"""Images and their nearest neighbours -> near-duplicates, and images unlike any other."""

import numpy as np
import pandas as pd
from sklearn.neighbors import LocalOutlierFactor

from graft.curation.vectors import BATCH_SIZE, Vectors, to_unit

NEIGHBOURS = 20  # as Breunig et al. and scikit-learn have it; of an image, no more near-duplicates are found
SIMILAR = 0.95
OUTLYING = 1.5  # local outlier factor, as of scikit-learn's "auto"
# A near-duplicate's first image is that of test, so that its second may be dropped.
RANKS = {"test": 0, "validation": 1, "train": 2}


class Neighbours:
    """The nearest neighbours of each image of a dataset, and its local outlier factor.

    Breunig et al. 2000, LOF: about 1 where an image has as many neighbours nearby as these have, more where
    it is further from all. https://doi.org/10.1145/335191.335388

    Attributes:
        similarities: (n, k), the nearest first.
        places: (n, k), of these neighbours.
        factors: (n,) local outlier factors.
    """

    def __init__(self, vectors: Vectors) -> None:
        """Find them: k is `NEIGHBOURS`, or all others of a smaller dataset."""
        lof = LocalOutlierFactor(min(NEIGHBOURS, len(vectors.unit) - 1)).fit(vectors.unit)
        distances, self.places = lof.kneighbors()
        self.similarities = 1 - distances**2 / 2  # of unit vectors
        self.factors = -lof.negative_outlier_factor_


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
    """Compare features that were not pooled: the (m,) cosines about their mean of pairs (m, 2) of places."""
    mean = features.mean(0, dtype=np.float32).ravel()
    similarities = np.empty(len(pairs))
    for start in range(0, len(pairs), BATCH_SIZE):
        places = pairs[start : start + BATCH_SIZE]
        one, other = (to_unit(features[at].reshape(len(at), -1).astype(np.float32) - mean) for at in places.T)
        similarities[start : start + len(places)] = (one * other).sum(1)
    return similarities


def find_outliers(manifest: pd.DataFrame, neighbours: Neighbours) -> pd.DataFrame:
    """List the images whose local outlier factor exceeds `OUTLYING`, the highest first.

    Returns:
        The manifest's columns, and ``outlier_factor``.
    """
    rows = manifest.assign(outlier_factor=neighbours.factors)
    outlying = rows[rows["outlier_factor"] > OUTLYING]
    return outlying.sort_values("outlier_factor", ascending=False, ignore_index=True)
