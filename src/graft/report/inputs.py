"""What the page is made of, read from the files that the other stages wrote."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from graft.data.images import read_images
from graft.data.manifest import read_manifest
from graft.evaluation.compare import METHODS
from graft.evaluation.predictions import read_predictions
from graft.report.gallery import Gallery, Predictions, choose_gallery
from graft.utils.timing import read_timings


@dataclass(frozen=True)
class Inputs:
    """What the page is made of.

    Attributes:
        comparison: `metrics/comparison.json`.
        metrics: method -> `metrics/<method>.json`.
        data: `metrics/data.json`.
        timing: stage -> durations and counts, of those that are of these outputs.
        histories: method -> `models/<method>/history.csv`, one row an epoch.
        predictions: method -> frame and facts of `predictions/<method>.parquet`.
        manifest: `data/manifest.csv`.
        gallery: which pictures the page shows.
        images: key -> encoded image of the gallery.
        maps: file below `reports/explain` -> encoded image.
    """

    comparison: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]
    timing: Mapping[str, Mapping[str, float]]
    histories: Mapping[str, pd.DataFrame]
    predictions: Predictions
    manifest: pd.DataFrame
    gallery: Gallery
    images: Mapping[str, bytes]
    maps: Mapping[str, bytes]


def read_inputs(root: Path, methods: Sequence[str] = METHODS) -> Inputs:
    """Read what the page is made of.

    Args:
        root: the repository's.
        methods: in the order of the page.

    Raises:
        FileNotFoundError: if a file other than a timing is missing.
        ValueError: if the predictions are of other images than the manifest or the shards.
    """
    predictions = {m: read_predictions(root / "predictions" / f"{m}.parquet") for m in methods}
    manifest = read_manifest(root / "data/manifest.csv")
    gallery = choose_gallery(predictions, manifest, _read(root / "reports/explain/index.json"))
    return Inputs(
        comparison=_read(root / "metrics/comparison.json"),
        metrics={method: _read(root / f"metrics/{method}.json") for method in methods},
        data=_read(root / "metrics/data.json"),
        timing=read_timings(root),
        histories={method: pd.read_csv(root / f"models/{method}/history.csv") for method in methods},
        predictions=predictions,
        manifest=manifest,
        gallery=gallery,
        images=read_images(root / "data/images", gallery.keys),
        maps={file: (root / "reports/explain" / file).read_bytes() for file in gallery.maps},
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
