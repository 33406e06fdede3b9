"""Paths that the stages read and write, relative to the repository's root."""

import os
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
TTA = PREDICTIONS / "tta"
METRICS = Path("metrics")
EXPLAIN = Path("reports/explain")
PAGE = Path("reports/index.html")
MAP_PAGE = Path("reports/map.html")

# Ignored by Git and unknown to DVC: each may be deleted at any time.
DOWNLOADS = Path(".graft/downloads")
SHARED_STORE = os.environ.get("GRAFT_STORE")  # of several projects
STORE = Path(SHARED_STORE or ".graft/features")
TEMPORARY = Path(".graft/temporary")
CHECKPOINTS = Path(".graft/checkpoints")
CHECKED = Path(".graft/checked")
HEAT_MAPS = Path(".graft/explain")
STUDIES = Path(".graft/tune")
MONITORING = Path("reports/monitoring")
MAP = Path("reports/map")
BACKBONES = Path("reports/backbones")
TUNING = Path("reports/tuning")
CURATION = Path("reports/curation")
CURATION_PAGE = Path("reports/curate.html")
