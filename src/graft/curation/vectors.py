"""Features -> vectors whose products are similarities: the cosine about the dataset's mean.

Without the mean, the features of any two images are alike after a ReLU, the more so with random weights.
"""

import numpy as np

from graft.models.heads import SHORTEST, pool

BATCH_SIZE = 256


class Vectors:
    """The images of a dataset as unit vectors.

    Attributes:
        mean: (d,) float32, of the pooled features.
        unit: (n, d) float32.
    """

    def __init__(self, features: np.ndarray) -> None:
        """Pool and centre features (n, h, w, c) or (n, c), which may be memory-mapped."""
        starts = range(0, len(features), BATCH_SIZE)
        pooled = [_pool(features[start : start + BATCH_SIZE]) for start in starts]
        vectors = np.concatenate(pooled)
        self.mean = vectors.mean(0)
        self.unit = to_unit(vectors - self.mean)

    def compare(self, features: np.ndarray) -> np.ndarray:
        """Compare other images' features (m, ...) with all of these: (m, n) similarities in [-1, 1]."""
        return np.asarray(to_unit(_pool(features) - self.mean) @ self.unit.T)


def to_unit(vectors: np.ndarray) -> np.ndarray:
    """Scale each row (n, d) to length 1; a row of zeros stays.

    >>> to_unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, SHORTEST))


def _pool(features: np.ndarray) -> np.ndarray:
    return pool(features.astype(np.float32), "avg")
