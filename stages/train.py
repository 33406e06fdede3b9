"""Train one method: `python stages/train.py <method>`."""

import shutil
import sys
from importlib import import_module
from pathlib import Path

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config import paths
from graft.config.data import BitDepth
from graft.config.load import load_params
from graft.config.predict import Calibration
from graft.config.types import Text
from graft.data.manifest import read_manifest
from graft.evaluation.predictions import read_predictions, write_predictions
from graft.methods.calibration import calibrate
from graft.methods.outcome import describe, write_model
from graft.methods.run import Run
from graft.utils.timing import write_timing

if __name__ == "__main__":
    (name,) = sys.argv[1:]
    method = import_module(f"graft.methods.{name}")
    run = Run(
        read_manifest(paths.MANIFEST),
        images=paths.IMAGES,
        features=paths.FEATURES,
        views=paths.VIEWS,
        backbone=paths.BACKBONE,
        temporary=paths.TEMPORARY,
        live=paths.MODELS / name / "live",
        checkpoints=paths.CHECKPOINTS / name,
        models=paths.MODELS,
        read_predictions=lambda method: read_predictions(paths.PREDICTIONS / f"{method}.parquet"),
    )
    params = load_params(
        {"dataset": Text, "prepare.bit_depth": BitDepth, "predict.calibration": Calibration, **method.PARAMS}
    )
    outcome = calibrate(method.train(params, run), params.calibration)
    facts = write_model(outcome, paths.MODELS / name, name, params.dataset, params.bit_depth)
    predictions = paths.PREDICTIONS / f"{name}.parquet"
    write_predictions(predictions, outcome.rows, outcome.scores, outcome.classes, facts)
    write_timing(Path(), f"train_{name}", outcome.timing, [predictions])
    shutil.rmtree(paths.CHECKPOINTS / name, ignore_errors=True)
    done(describe(outcome))
