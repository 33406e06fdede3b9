"""Labels and cached features of a dataset -> what a person should look at."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from graft.config.training import Linear
from graft.config.types import SPLITS
from graft.curation.neighbours import find_duplicates, find_neighbours, find_outliers, to_vectors
from graft.curation.scores import Embedded, score_out_of_fold
from graft.curation.suspects import find_overlaps, find_suspects
from graft.data.manifest import class_names
from graft.methods.linear import Room


@dataclass(frozen=True)
class Findings:
    """Tables with the columns of the manifest and their own.

    Attributes:
        suspects: see `graft.curation.suspects.find_suspects`.
        duplicates: see `graft.curation.neighbours.find_duplicates`.
        outliers: see `graft.curation.neighbours.find_outliers`.
        overlaps: see `graft.evaluation.confusion.count_confusions`.
        accuracy: of the answers out of fold, on train and validation.
        n_images: split -> its images.
        n_reviewed: suspects and outliers that a person has decided on, which are not in the tables.
    """

    suspects: pd.DataFrame
    duplicates: pd.DataFrame
    outliers: pd.DataFrame
    overlaps: pd.DataFrame
    accuracy: float
    n_images: Mapping[str, int]
    n_reviewed: int = 0

    @property
    def leaked(self) -> set[str]:
        """The keys of the test images that resemble one of train or validation."""
        return set(self.duplicates.loc[self.duplicates["leak"], "key"])

    def without(self, reviewed: Collection[str]) -> "Findings":
        """Leave out the suspects and outliers of some keys. Near-duplicates stay: they are no opinion."""
        suspects, outliers = (
            table[~table["key"].isin(reviewed)].reset_index(drop=True)
            for table in (self.suspects, self.outliers)
        )
        n_reviewed = len({*self.suspects["key"], *self.outliers["key"]} & {*reviewed})
        return replace(self, suspects=suspects, outliers=outliers, n_reviewed=n_reviewed)

    def summarise(self) -> dict[str, Any]:
        """Count all."""
        splits = self.suspects["split"].value_counts()
        return {
            "n_images": dict(self.n_images),
            "accuracy": self.accuracy,
            "n_suspects": {split: int(splits.get(split, 0)) for split in SPLITS},
            "n_reviewed": self.n_reviewed,
            "n_duplicates": len(self.duplicates),
            "n_across": int((self.duplicates["split"] != self.duplicates["other_split"]).sum()),
            "n_leaked": len(self.leaked),
            "n_outliers": len(self.outliers),
        }


def find(
    manifest: pd.DataFrame, features: np.ndarray, block: Linear, room: Room, seed: int, similar: float
) -> Findings:
    """Find what a person should look at.

    Args:
        manifest: frame ``key, path, label, split``, of at least three images.
        features: of these images, in its order: (n, h, w, c) or (n, c) float16.
        block: the parameters of `linear`.
        room: for its rows.
        seed: of the folds.
        similar: the lowest similarity of near-duplicates.

    Raises what `score_out_of_fold` raises.
    """
    classes = class_names(manifest)
    labels, splits = np.searchsorted(classes, manifest["label"]), manifest["split"].to_numpy()
    scores = score_out_of_fold(Embedded(features, labels, splits), classes, block, room, seed)
    neighbours = find_neighbours(to_vectors(features))
    return Findings(
        suspects=find_suspects(manifest, scores, labels, classes),
        duplicates=find_duplicates(manifest, features, neighbours, similar),
        outliers=find_outliers(manifest, neighbours),
        overlaps=find_overlaps(manifest, scores, classes),
        accuracy=float((scores.argmax(1) == labels)[splits != "test"].mean()),
        n_images={split: int((splits == split).sum()) for split in SPLITS},
    )
