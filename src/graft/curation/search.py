"""Images from elsewhere -> the images of the dataset that are nearest to them."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd

from graft.curation.neighbours import to_vectors
from graft.features.format import read_metadata, shard_files
from graft.models.serialization import load_frozen, weights_sha256


def load_backbone(file: Path, features: Path) -> keras.Model:
    """Load the backbone of cached features: from (n, size, size, 3) pixels in [0, 255] to features.

    Args:
        file: `models/backbone.keras`.
        features: folder of shards.

    Raises:
        FileNotFoundError: if either is missing.
        ValueError: if the features are not of that backbone.
    """
    fingerprint = read_metadata(shard_files(features)[0])["fingerprint"]
    model = load_frozen(file)
    if weights_sha256(model) != fingerprint["weights_sha256"]:
        raise ValueError(f"{features} is of another backbone than {file}: run `dvc repro`")
    return model


def find_nearest(manifest: pd.DataFrame, vectors: np.ndarray, feature: np.ndarray, n: int) -> pd.DataFrame:
    """Find the images nearest to one image.

    Args:
        manifest: frame ``key, path, label, split``.
        vectors: (n_images, d), of these images, as `to_vectors` makes them.
        feature: (h, w, c) or (c,), of the image.
        n: how many at most.

    Returns:
        ``rank`` from 1, ``similarity`` (their cosine) and the manifest's columns; the most similar first.
    """
    similarities = vectors @ to_vectors(feature[np.newaxis])[0]
    nearest = np.argsort(-similarities, kind="stable")[:n]
    found: pd.DataFrame = manifest.iloc[nearest].reset_index(drop=True)
    found.insert(0, "rank", np.arange(1, len(found) + 1))
    found.insert(1, "similarity", similarities[nearest])
    return found
