"""Train the inline method: every augmented image through the backbone in every epoch."""

from pathlib import Path

import _checkout  # noqa: F401
from graft.backbones import backbone_facts, build_backbone, make_embedder
from graft.manifest import read_manifest
from graft.methods.inline import fit_inline
from graft.methods.outcome import write_outcome
from graft.params import load_params

if __name__ == "__main__":
    params = load_params(
        "seed", "row", "backbone", "weights", "features.memory_limit", "augmentation", "inline"
    )
    row, weights, seed = params.row, params.weights, params.seed
    working = build_backbone(row, weights, seed, params.inline.precision)
    outcome = fit_inline(
        Path("data/images"),
        read_manifest(Path("data/manifest.csv")),
        build_backbone(row, weights, seed),
        make_embedder(working, params.inline.batch_size, spare_rows=0),
        params.inline,
        params.augmentation,
        params.memory_limit,
        Path(".graft/scratch"),
        seed,
        backbone_facts(params.backbone, weights),
    )
    write_outcome(outcome, "inline", Path())
