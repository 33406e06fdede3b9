"""Compare the methods on the same test images; `graft table` prints the result."""

import json
from pathlib import Path

import pandas as pd

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.evaluation.compare import METHODS, compare
from graft.evaluation.predictions import read_predictions
from graft.utils.files import write_json

if __name__ == "__main__":
    folder = Path("metrics")
    predictions = {method: read_predictions(Path("predictions") / f"{method}.parquet") for method in METHODS}
    metrics = {method: json.loads((folder / f"{method}.json").read_text("utf-8")) for method in METHODS}
    comparison = compare(predictions, metrics)
    write_json(comparison, folder / "comparison.json")
    rows = pd.DataFrame(comparison["methods"])
    rows.to_csv(folder / "comparison.csv", index=False, lineterminator="\n")
    print(f"compare: {len(rows)} methods on {rows['n_seen_test'][0]} test images")
