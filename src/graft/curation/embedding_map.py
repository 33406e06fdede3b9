"""Features -> a map of the images: those that a backbone finds alike lie side by side.

The features, each of one length, are reduced to 50 principal components and laid out by t-SNE (van der
Maaten and Hinton 2008, jmlr.org/papers/v9/vandermaaten08a). A map depends on no head, so one map serves
every training run on the same features.
"""

from collections.abc import Collection, Iterable
from hashlib import sha256
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from PIL import Image

LEAST, MOST = 5, 5_000  # images on a map: fewer have no neighbours, and more take minutes
COMPONENTS, PERPLEXITY, NEIGHBOURS = 50, 30, 20
OUTLIERS, APART = 12, 0.09  # how many are shown, and their least distance, as a share of the map's side
SIDES = {1_200: 64, 2_500: 48, MOST: 32}  # pixels of a thumbnail, by the number of images
MAX_BYTES, QUALITIES = 3_000_000, (75, 50, 25, 10)


def choose_keys(keys: Collection[str], seed: int) -> list[str]:
    """Choose at most `MOST` images, always the same of the same keys and seed: their keys, sorted."""
    drawn = sorted(keys, key=lambda key: sha256(f"{seed} {key}".encode()).digest())
    return sorted(drawn[:MOST])


def lay_out(features: np.ndarray, seed: int) -> tuple[np.ndarray, list[int]]:
    """Give each image its place, and find those that are unlike their neighbours.

    It runs in one thread: with more of them the sums of t-SNE would depend on their number, and on a machine
    that has other work to do they wait for each other.

    Args:
        features: (n, d) float32.
        seed: of PCA and t-SNE.

    Returns:
        Places (n, 2) in [0, 1], to 4 decimals; and the rows of at most `OUTLIERS` images, the most unusual
        first (local outlier factor, Breunig et al. 2000), no two of them near each other on the map.

    Raises:
        ValueError: if there are fewer images than `LEAST`, or all have the same features.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.neighbors import LocalOutlierFactor
    from threadpoolctl import threadpool_limits

    n = len(features)
    if n < LEAST:
        raise ValueError(f"a map needs at least {LEAST} images, received {n}")
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    if not np.ptp(rows, axis=0).any():
        raise ValueError(f"all {n:,} images have the same features, so no map tells them apart")
    with threadpool_limits(1):
        reduced = PCA(min(COMPONENTS, *rows.shape), random_state=seed).fit_transform(rows)
        tsne = TSNE(perplexity=min(PERPLEXITY, (n - 1) / 3), init="pca", random_state=seed)
        places = tsne.fit_transform(reduced)
        factors = LocalOutlierFactor(min(NEIGHBOURS, n - 1)).fit(reduced).negative_outlier_factor_
    low, span = places.min(axis=0), np.ptp(places, axis=0).max()
    scaled = ((places - low) / span + (1 - np.ptp(places, axis=0) / span) / 2).round(4)
    return scaled, _spread(scaled, np.argsort(factors, kind="stable"))


def _spread(places: np.ndarray, ranked: Iterable[int]) -> list[int]:
    """The first `OUTLIERS` rows that are `APART` from those before."""
    chosen: list[int] = []
    for row in ranked:
        if len(chosen) < OUTLIERS and all(np.hypot(*(places[row] - places[i])) >= APART for i in chosen):
            chosen.append(int(row))
    return chosen


def choose_side(n: int) -> int:
    """The pixels of a thumbnail's side, so that all of them together remain small."""
    return next(side for most, side in SIDES.items() if n <= most)


def draw_sheet(thumbnails: Iterable[np.ndarray], n: int) -> bytes:
    """Draw thumbnails side by side, row by row, in a square: a JPEG of at most `MAX_BYTES`.

    Args:
        thumbnails: n arrays (side, side, 3) uint8.
        n: how many there are.
    """
    columns, sheet = ceil(sqrt(n)), None
    for number, pixels in enumerate(thumbnails):
        side = len(pixels)
        sheet = sheet or Image.new("RGB", (columns * side, ceil(n / columns) * side))
        sheet.paste(Image.fromarray(pixels), (number % columns * side, number // columns * side))
    if sheet is None:
        raise ValueError("a sheet needs at least one thumbnail")
    for quality in QUALITIES:
        file = BytesIO()
        sheet.save(file, "JPEG", quality=quality)
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()
