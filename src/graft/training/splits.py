"""The order of the rows in a method's arrays: validation, test, train, each as in the manifest."""

import numpy as np
import pandas as pd

from graft.data.manifest import class_names

SCORED = ("validation", "test")


def rows_by_split(manifest: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The manifest's rows of each split. Train comes last: there are arrays without it, or with its views."""
    return {split: manifest[manifest["split"] == split] for split in (*SCORED, "train")}


def arrays_by_split(array: np.ndarray, rows: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Views of an array (n, ...) whose first rows belong to the images of `rows`."""
    ends = np.cumsum([len(part) for part in rows.values()])
    return dict(zip(rows, np.split(array, ends), strict=False))


def class_numbers(manifest: pd.DataFrame) -> dict[str, np.ndarray]:
    """The (n,) class numbers of each split's images."""
    classes = class_names(manifest)
    return {split: np.searchsorted(classes, rows["label"]) for split, rows in rows_by_split(manifest).items()}
