"""Embed augmented views of each training image once, and write the features as Parquet shards."""

import os
from pathlib import Path
from time import perf_counter

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.load import load_params
from graft.config.paths import IMAGES, MANIFEST, STORE, VIEWS
from graft.data.manifest import read_manifest
from graft.features.engines.choice import choose_engine
from graft.features.extraction import describe_origin, extract
from graft.features.format import view_rows
from graft.features.views import PARAMS, ViewEmbedding
from graft.models.backbones import Backbone
from graft.utils.timing import write_timing

if __name__ == "__main__":
    started = perf_counter()
    repo = Path() if os.environ.get("GRAFT_FEATURES_OF_HEAD", "yes") else None  # set to nothing: without
    params, manifest = load_params(PARAMS), read_manifest(MANIFEST)
    engine, precision = choose_engine(params.engine, params.precision, IMAGES, manifest)
    model = Backbone(params.row, params.weights, params.seed).build(precision)
    made = model, params.row, params.weights, params.precision
    embedding = ViewEmbedding(*made, params.augmentation, engine=engine)
    counts = extract(IMAGES, view_rows(manifest, params.views), embedding, STORE, repo, VIEWS)
    write_timing(Path(), "extract_views", counts | {"seconds": perf_counter() - started}, [VIEWS])
    done(describe_origin(counts))
