"""Paths that the stages read and write, relative to the repository's root."""

from pathlib import Path

EDITS = Path("edits.csv")
RAW = Path("data/raw")
IMAGES = Path("data/images")
MANIFEST = Path("data/manifest.csv")
FEATURES = Path("data/features")
VIEWS = Path("data/views")
CROISSANT = Path("data/croissant.json")
MODELS = Path("models")
BACKBONE = MODELS / "backbone.keras"
PREDICTIONS = Path("predictions")
METRICS = Path("metrics")
EXPLAIN = Path("reports/explain")
PAGE = Path("reports/index.html")

# Ignored by Git and unknown to DVC: each may be deleted at any time.
DOWNLOADS = Path(".graft/downloads")
STORE = Path(".graft/features")
TEMPORARY = Path(".graft/temporary")
CHECKPOINTS = Path(".graft/checkpoints")
CHECKED = Path(".graft/checked")
HEAT_MAPS = Path(".graft/explain")
MONITORING = Path("reports/monitoring")
CURATION = Path("reports/curation")
CURATION_PAGE = Path("reports/curate.html")
