"""Embed each image once, and its augmented views, and write the features as Parquet shards."""

import json
from pathlib import Path
from time import perf_counter

import _checkout  # noqa: F401
from graft.backbones import build_backbone
from graft.features.extract import extract_features, make_fingerprint
from graft.manifest import read_manifest
from graft.params import load_params

if __name__ == "__main__":
    started = perf_counter()
    params = load_params("seed", "row", "weights", "features.views", "features.precision", "augmentation")
    backbone = build_backbone(params.row, params.weights, params.seed, params.precision)
    counts = extract_features(
        Path("data/images"),
        read_manifest(Path("data/manifest.csv")),
        backbone,
        make_fingerprint(backbone, params.row, params.weights, params.precision, params.augmentation),
        params.views,
        store=Path(".graft/features"),
        repo=Path(),
        output=Path("data/features"),
    )
    timing = Path("metrics/timing/extract_features.json")
    timing.parent.mkdir(parents=True, exist_ok=True)
    counts["seconds"] = perf_counter() - started
    timing.write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n")
