"""A predictions file: the scores that one method gave to every validation and test image, and its facts.

Parquet with the columns ``key, split, y_true`` (str), ``seed`` (int64) and one float32 column
``y_score.<label>`` a class, the probabilities in class order; every image once for each seed that
the method was trained with. The facts (method, seeds, backbone, weights, pretrained, n_seen_train,
parameters, ...) stand as JSON in the schema metadata: all that `evaluate` and `compare` need, so
neither imports TensorFlow.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.data.sharding import write_table
from graft.utils.files import whole

SCORE = "y_score."


def write_predictions(
    path: Path, rows: pd.DataFrame, scores: np.ndarray, classes: list[str], facts: dict[str, Any]
) -> None:
    """Write a predictions file.

    Args:
        path: the file; its folder is made.
        rows: manifest rows (``key, label, split``) of validation and test, and the ``seed`` of each.
        scores: (len(rows), n_classes) probabilities.
        classes: the labels in class order.
        facts: JSON-serialisable; ``seeds`` are those of the rows, first that of the model that is kept.

    Raises:
        ValueError: if the shapes disagree or a score is not a finite number.
    """
    if scores.shape != (len(rows), len(classes)):
        raise ValueError(f"expected scores of shape {(len(rows), len(classes))}, received {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite: the training run diverged; lower its learning_rate")
    columns = {"key": rows["key"], "split": rows["split"], "y_true": rows["label"]}
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    arrays["seed"] = pa.array(rows["seed"], pa.int64())
    arrays |= {SCORE + label: pa.array(scores[:, i], pa.float32()) for i, label in enumerate(classes)}
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(arrays).replace_schema_metadata({"facts": json.dumps(facts, sort_keys=True)})
    with whole(path) as partial:
        write_table(table, partial, 4096)


def read_predictions(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a predictions file: the frame and the facts."""
    table = pq.read_table(path)
    return table.to_pandas(), json.loads(table.schema.metadata[b"facts"])


def first_seed(predictions: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of the first seed, whose model is the one that is kept."""
    rows: pd.DataFrame = predictions[predictions["seed"] == facts["seeds"][0]]
    return rows


def labels_of(predictions: pd.DataFrame) -> list[str]:
    """The labels of a predictions frame, in class order."""
    return [name.removeprefix(SCORE) for name in predictions.columns if name.startswith(SCORE)]


def score_matrix(predictions: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """The (n, n_classes) float64 scores of a predictions frame, and the labels in class order."""
    labels = labels_of(predictions)
    return predictions[[SCORE + label for label in labels]].to_numpy(np.float64), labels
