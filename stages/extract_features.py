"""Embed each image once, and its augmented views, and write the features as Parquet shards."""

from pathlib import Path
from time import perf_counter

import _checkout  # noqa: F401
from graft.config.features import Augmentation, BackboneRow, Precision
from graft.config.load import load_params
from graft.config.types import Natural, Seed, Text
from graft.data.manifest import read_manifest
from graft.features.extraction import extract_features, make_fingerprint
from graft.models.backbones import Backbone
from graft.models.serialization import save_model
from graft.utils.timing import write_timing

if __name__ == "__main__":
    started = perf_counter()
    params = load_params(
        {
            "seed": Seed,
            "backbone": Text,
            "backbones.${backbone}": BackboneRow,
            "weights": Text,
            "features.views": Natural,
            "features.precision": Precision,
            "augmentation": Augmentation,
        }
    )
    described = Backbone(params.backbone, params.row, params.weights, params.seed)
    exact, backbone = described.build_pair(params.precision)
    save_model(exact, Path("models/backbone.keras"))
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
    seconds = {"seconds": perf_counter() - started}
    write_timing(Path(), "extract_features", counts | seconds, ["data/features"])
