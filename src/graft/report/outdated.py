"""The age of the page beside that of the files that it shows."""

from pathlib import Path

SHOWN = (
    "params.yaml",
    "data/manifest.csv",
    "metrics/*.json",
    "metrics/timing/*.json",
    "models/*/history.csv",
    "models/*/exports.json",
    "predictions/*.parquet",
    "reports/backbones/*.json",
    "reports/explain/index.json",
    "reports/monitoring/*.json",
    "reports/map/*.json",
    "reports/tuning/*.json",
    "reports/curation/*.json",
)


def is_outdated(page: Path, root: Path) -> bool:
    """True if a page is missing, or a file that it shows was written after it."""
    shown = (file for pattern in SHOWN for file in root.glob(pattern))
    return not page.exists() or any(file.stat().st_mtime > page.stat().st_mtime for file in shown)
