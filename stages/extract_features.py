"""Embed each image once, and write the features as Parquet shards."""

import os
from pathlib import Path
from time import perf_counter

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.load import load_params
from graft.config.paths import BACKBONE, FEATURES, IMAGES, MANIFEST, STORE
from graft.data.manifest import read_manifest
from graft.features.embedding import PARAMS, Embedding
from graft.features.engines.choice import choose_engine
from graft.features.extraction import describe_origin, extract
from graft.features.format import plain_rows
from graft.models.backbones import Backbone
from graft.models.serialization import save_model
from graft.utils.timing import write_timing

if __name__ == "__main__":
    started = perf_counter()
    repo = Path() if os.environ.get("GRAFT_FEATURES_OF_HEAD", "yes") else None  # set to nothing: without
    params, manifest = load_params(PARAMS), read_manifest(MANIFEST)
    engine, precision = choose_engine(params.engine, params.precision, IMAGES, manifest)
    exact, model = Backbone(params.row, params.weights, params.seed).build_pair(precision)
    save_model(exact, BACKBONE)
    embedding = Embedding(model, params.row, params.weights, params.precision, engine=engine)
    counts = extract(IMAGES, plain_rows(manifest), embedding, STORE, repo, FEATURES)
    seconds = {"seconds": perf_counter() - started}
    write_timing(Path(), "extract_features", counts | seconds, [FEATURES])
    done(describe_origin(counts))
