"""Train the head of the two-stage method on cached augmented views."""

from pathlib import Path

import _checkout  # noqa: F401
from graft.manifest import read_manifest
from graft.methods.outcome import write_outcome
from graft.methods.two_stage_views import fit_two_stage_views
from graft.models import load_frozen
from graft.params import load_params
from graft.weights import backbone_facts

if __name__ == "__main__":
    params = load_params("backbone", "weights", "seeds", "two_stage_views")
    features = load_params("features.views", "features.memory_limit")
    outcome = fit_two_stage_views(
        Path("data/features"),
        read_manifest(Path("data/manifest.csv")),
        load_frozen(Path("models/backbone.keras")),
        params.two_stage_views,
        features.memory_limit,
        Path(".graft/scratch"),
        params.seeds,
        backbone_facts(params.backbone, params.weights),
        features.views,
        live=Path("models/two_stage_views/live"),
    )
    write_outcome(outcome, "two_stage_views", Path())
