"""Train a small network from scratch, without transfer."""

from pathlib import Path

import _checkout  # noqa: F401
from graft.manifest import read_manifest
from graft.methods.outcome import write_outcome
from graft.methods.scratch import fit_scratch
from graft.params import load_params

if __name__ == "__main__":
    params = load_params("features.memory_limit", "augmentation", "scratch")
    outcome = fit_scratch(
        Path("data/images"),
        read_manifest(Path("data/manifest.csv")),
        params.scratch,
        params.augmentation,
        params.memory_limit,
        Path(".graft/scratch"),
        live=Path("models/scratch/live"),
    )
    write_outcome(outcome, "scratch", Path())
