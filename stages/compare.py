"""Compare the methods on the same test images; `graft table` prints the result."""

import pandas as pd

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.paths import METRICS, PREDICTIONS
from graft.evaluation.compare import compare
from graft.evaluation.predictions import read_predictions
from graft.methods.registry import METHODS
from graft.utils.files import read_json, write_csv, write_json

if __name__ == "__main__":
    predictions = {method: read_predictions(PREDICTIONS / f"{method}.parquet") for method in METHODS}
    comparison = compare(predictions, {method: read_json(METRICS / f"{method}.json") for method in METHODS})
    write_json(comparison, METRICS / "comparison.json")
    # Int64 keeps whole numbers where a method has none.
    rows = pd.DataFrame(comparison["methods"]).astype(dict.fromkeys(["epochs", "best_epoch"], "Int64"))
    write_csv(rows, METRICS / "comparison.csv")
    done(f"{len(rows)} methods on {rows['n_seen_test'][0]:,} test images")
