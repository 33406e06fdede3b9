"""Train the inline method: every augmented image through the backbone in every epoch."""

from pathlib import Path

import _checkout  # noqa: F401
from graft.backbones import build_pair, make_embedder
from graft.manifest import read_manifest
from graft.methods.inline import fit_inline
from graft.methods.outcome import write_outcome
from graft.params import load_params
from graft.weights import backbone_facts

if __name__ == "__main__":
    params = load_params("seed", "row", "backbone", "weights", "augmentation", "inline")
    memory_limit = load_params("features.memory_limit").memory_limit
    backbone, working = build_pair(params.row, params.weights, params.seed, params.inline.precision)
    outcome = fit_inline(
        Path("data/images"),
        read_manifest(Path("data/manifest.csv")),
        backbone,
        working,
        make_embedder(working, params.inline.batch_size, spare_rows=0),
        params.inline,
        params.augmentation,
        memory_limit,
        Path(".graft/scratch"),
        backbone_facts(params.backbone, params.weights),
        live=Path("models/inline/live"),
    )
    write_outcome(outcome, "inline", Path())
