"""Files that the other stages wrote -> the values that the page is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from graft.config.paths import (
    BACKBONES,
    CURATION,
    CURATION_PAGE,
    EXPLAIN,
    IMAGES,
    MANIFEST,
    METRICS,
    MODELS,
    MONITORING,
    PREDICTIONS,
    TUNING,
)
from graft.data.decoding import read_images
from graft.data.manifest import read_manifest
from graft.evaluation.predictions import read_predictions
from graft.export.records import read_exports
from graft.methods.registry import METHODS
from graft.report.costs import Timing, add_members
from graft.report.current import read_views
from graft.report.files import Exports
from graft.report.gallery import Gallery, Predictions, choose_gallery
from graft.report.mapping import Mapped, read_map
from graft.report.views import choose_originals
from graft.utils.belonging import read_values
from graft.utils.files import read_json
from graft.utils.timing import read_timings


@dataclass(frozen=True)
class Inputs:
    """The values that the page is made of.

    Attributes:
        comparison: `metrics/comparison.json`, with ``tta`` where views were scored.
        metrics: method -> `metrics/<method>.json`.
        data: `metrics/data.json`.
        timing: stage -> durations and counts, of those that are of these outputs; see `add_members`.
        histories: method -> `models/<method>/history.csv`, one row an epoch.
        predictions: method -> frame and facts of `predictions/<method>.parquet`.
        manifest: `data/manifest.csv`.
        gallery: the images that the page shows.
        images: key -> encoded image of the gallery, and of those whose views are drawn.
        exports: method -> the records of the files that were made of its model.
        maps: file below `reports/explain` -> encoded image.
        mapped: what `graft map` laid out, if that is of these features.
        monitoring: method -> what `graft monitor` found last, of those that are of these predictions.
        backbones: name -> what `graft backbones compare` measured, of those that are of this manifest.
        tuning: method -> the last study of `graft tune`, of those that are of these features.
        curation: what `graft curate` counted, if that is of these features and predictions.
    """

    comparison: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]
    timing: Timing
    histories: Mapping[str, pd.DataFrame]
    predictions: Predictions
    manifest: pd.DataFrame
    gallery: Gallery
    images: Mapping[str, bytes]
    exports: Exports
    maps: Mapping[str, bytes]
    mapped: Mapped | None = None
    monitoring: Mapping[str, Any] = field(default_factory=dict)
    backbones: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    curation: Mapping[str, Any] = field(default_factory=dict)


def read_inputs(root: Path) -> Inputs:
    """Read what the page of a repository is made of, in the order of the registry of methods.

    Raises:
        FileNotFoundError: if a file other than a timing is missing.
        ValueError: if the predictions are of other images than the manifest or the shards.
    """
    predictions = {method: read_predictions(root / PREDICTIONS / f"{method}.parquet") for method in METHODS}
    manifest = read_manifest(root / MANIFEST)
    gallery = choose_gallery(predictions, manifest, read_json(root / EXPLAIN / "index.json"))
    metrics = {method: read_json(root / METRICS / f"{method}.json") for method in METHODS}
    comparison = read_json(root / METRICS / "comparison.json") | read_views(root, metrics)
    return Inputs(
        comparison=comparison,
        metrics=metrics,
        data=read_json(root / METRICS / "data.json"),
        timing=add_members(read_timings(root), comparison["members"]),
        histories={method: pd.read_csv(root / MODELS / method / "history.csv") for method in METHODS},
        predictions=predictions,
        manifest=manifest,
        gallery=gallery,
        images=read_images(root / IMAGES, sorted({*gallery.keys, *choose_originals(manifest)})),
        exports={method: read_exports(root / MODELS / method) for method in METHODS},
        maps={file: (root / EXPLAIN / file).read_bytes() for file in gallery.maps},
        mapped=read_map(root),
        monitoring=read_values(root, MONITORING),
        backbones=read_values(root, BACKBONES),
        tuning=read_values(root, TUNING),
        curation=read_values(root, CURATION).get("findings", {}) if (root / CURATION_PAGE).exists() else {},
    )
