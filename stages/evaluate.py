"""Measure one method's predictions: `python stages/evaluate.py <method>`."""

import sys

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.evaluation import Metrics
from graft.config.load import load_params
from graft.config.paths import MANIFEST, METRICS, PREDICTIONS
from graft.data.manifest import read_manifest
from graft.evaluation.calibration import describe_calibration
from graft.evaluation.curves import write_plots
from graft.evaluation.metrics import evaluate
from graft.evaluation.predictions import first_seed, read_predictions
from graft.evaluation.seeds import pick_headline
from graft.utils.files import write_json

if __name__ == "__main__":
    (method,) = sys.argv[1:]
    params = load_params({"metrics": Metrics}).metrics
    predictions, facts = read_predictions(PREDICTIONS / f"{method}.parquet")
    manifest = read_manifest(MANIFEST)
    metrics = evaluate(predictions, facts, manifest, params.confidence, params.calibration_bins)
    kept = first_seed(predictions, facts)
    metrics |= describe_calibration(kept, facts, params.confidence, params.calibration_bins)
    shown = [row["label"] for row in metrics["test"]["per_class"]]
    write_plots(kept[kept["split"] == "test"], shown, METRICS / "plots" / method)
    write_json(metrics, METRICS / f"{method}.json")
    write_json({method: pick_headline(metrics)}, METRICS / "summary" / f"{method}.json")
    test, seeds = metrics["test"], metrics["seeds"]
    low, right, high = (f"{100 * test[name]:.1f}" for name in ("accuracy_low", "accuracy", "accuracy_high"))
    said = f"{right} % ({low}-{high}) of {metrics['n_seen']['test']:,} test images"
    if seeds["n"] > 1:
        mean, spread = seeds["test_accuracy_mean"], seeds["test_accuracy_std"]
        said += f"; {100 * mean:.1f} ± {100 * spread:.1f} % over {seeds['n']} seeds"
    done(said)
