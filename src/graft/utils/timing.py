"""Durations: they differ on every run, so they stand apart from all results."""

import json
from collections.abc import Mapping
from pathlib import Path


def write_timing(root: Path, stage: str, values: Mapping[str, float]) -> None:
    """Write ``metrics/timing/<stage>.json`` below `root`: durations in seconds, and counts."""
    path = root / "metrics" / "timing" / f"{stage}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
