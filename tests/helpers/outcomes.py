"""What `stages/train.py` writes of a trained method."""

from pathlib import Path
from typing import Any

from graft.evaluation.predictions import write_predictions


def write_outcome(outcome: Any, method: str, root: Path) -> None:
    """Write model, history and predictions of a method below `root`, each to its place."""
    from graft.methods.outcome import write_model

    facts = {"method": method, **outcome.facts, **write_model(outcome, root / "models" / method)}
    file = root / "predictions" / f"{method}.parquet"
    write_predictions(file, outcome.rows, outcome.scores, outcome.classes, facts)
