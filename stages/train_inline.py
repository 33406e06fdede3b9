"""Train the inline method: every augmented image through the backbone in every epoch."""

from pathlib import Path

import _checkout  # noqa: F401
from graft.backbones import backbone_facts, build_backbone
from graft.manifest import read_manifest
from graft.methods.inline import fit_inline
from graft.methods.outcome import write_outcome
from graft.params import load_params

if __name__ == "__main__":
    params = load_params("seed", "row", "backbone", "weights", "augmentation", "inline")
    outcome = fit_inline(
        Path("data/images"),
        read_manifest(Path("data/manifest.csv")),
        build_backbone(params.row, params.weights, params.seed),
        params.inline,
        params.augmentation,
        params.row.batch_size,
        params.seed,
        backbone_facts(params.backbone, params.weights),
    )
    write_outcome(outcome, "inline", Path())
