"""A trained method on disk: as `stages/train.py` writes it, and as tests of several processes share it."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from graft.evaluation.predictions import write_predictions


def write_outcome(outcome: Any, method: str, root: Path) -> None:
    """Write model, history and predictions of a method below `root`, each to its place."""
    from graft.methods.outcome import write_model

    facts = {
        "method": method,
        **write_model(outcome, root / "models" / method, method, "demo"),
    }
    file = root / "predictions" / f"{method}.parquet"
    write_predictions(file, outcome.rows, outcome.scores, outcome.classes, facts)


def keep_outcome(outcome: Any, folder: Path) -> None:
    """Write all of an outcome, for `recall_outcome`."""
    from graft.models.serialization import save_model

    save_model(outcome.model, folder / "model.keras")
    (folder / "outcome.pickle").write_bytes(pickle.dumps(replace(outcome, model=None)))


def recall_outcome(folder: Path) -> Any:
    """Read an outcome, its model from its file."""
    import keras

    outcome = pickle.loads((folder / "outcome.pickle").read_bytes())
    return replace(outcome, model=keras.saving.load_model(folder / "model.keras"))
