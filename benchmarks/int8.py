"""Features in int8 by OpenVINO against Keras's in float32, on photos of one's own and pre-trained weights.

`python benchmarks/int8.py PHOTOS --backbone vgg16 --weights FILE` prints how near the features are, whether
the methods that learn from either answer differently, and how near the deployed file is to reported scores.
"""

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from graft.config.load import read_params
from graft.data.datasets import folder
from graft.data.ingest import prepare
from graft.data.manifest import COLUMNS
from graft.data.split import make_manifest
from graft.evaluation.compare import compare_pairs
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix, write_predictions
from graft.features.embedding import Embedding
from graft.features.engines.choice import choose_engine
from graft.features.extraction import extract
from graft.features.format import load_features, plain_rows
from graft.methods.outcome import Outcome
from graft.methods.params import parse_params
from graft.methods.registry import METHODS
from graft.methods.run import Run
from graft.models.backbones import Backbone
from graft.models.serialization import save_model
from graft.report.words import describe_test

ROOT = Path(__file__).resolve().parents[1]
KINDS = {"float32": "keras", "int8": "openvino"}


def main(
    photos: Annotated[Path, typer.Argument(help="A folder of images for each class.")],
    backbone: Annotated[str, typer.Option(help="A row of params.yaml's backbones.")] = "mobilenet_v2",
    size: Annotated[int | None, typer.Option(help="Pixels of its images; none: those of the row.")] = None,
    weights: Annotated[str, typer.Option(help="bundled, imagenet, or a file.")] = "bundled",
) -> None:
    """Compare, and print."""
    params = parse_params(read_params(ROOT / "params.yaml"))
    row = params.backbones[backbone]
    row = row.model_copy(update={"image_size": size or row.image_size})
    chosen = {"row": row, "backbone": backbone, "weights": weights, "memory_limit": 2.0}
    with tempfile.TemporaryDirectory(prefix="graft-int8-") as work:
        compare(photos, SimpleNamespace(**dict(params) | chosen), Path(work))


def compare(photos: Path, params: SimpleNamespace, work: Path) -> None:
    """Print the comparison of a folder's photos."""
    folder.fetch(work / "raw", photos, work)
    prepare(folder.read(work / "raw"), params.prepare, work / "images")
    images = pd.read_parquet(work / "images", columns=COLUMNS)
    manifest = make_manifest(images, params.split, params.seed)
    runs = {precision: embed(params, manifest, work, precision) for precision in KINDS}
    features = {precision: _load(run, plain_rows(manifest), params) for precision, run in runs.items()}
    cosines = cosine(features["float32"], features["int8"])
    print(f"{photos.name}: cosine of {len(cosines)} images: least {cosines.min():.4f}, median ", end="")
    print(f"{np.median(cosines):.4f}")
    for method in ("linear", "two_stage"):
        outcomes = {p: METHODS[method].load().train(params, run) for p, run in runs.items()}
        frames = {f"{method} {p}": _predictions(each, work) for p, each in outcomes.items()}
        tests = {name: frame[frame["split"] == "test"] for name, frame in frames.items()}
        accuracies = {name: _accuracy(frame) for name, frame in tests.items()}
        print("; ".join(f"{name}: test accuracy {value:.1%}" for name, value in accuracies.items()))
        print("  " + describe_test(compare_pairs(frames)[0], 0.05))
        print("  " + _describe_deployed(outcomes["int8"], frames[f"{method} int8"], runs["float32"], params))


def embed(params: SimpleNamespace, manifest: pd.DataFrame, work: Path, precision: Any) -> Run:
    """Extract the features of one precision; the files of a run that learns from them."""
    engine, build_in = choose_engine(KINDS[precision], precision, work / "images", manifest)
    model = Backbone(params.row, params.weights, params.seed).build(build_in)
    save_model(model, work / "backbone.keras")
    embedding = Embedding(model, params.row, params.weights, precision, engine=engine)
    output = work / f"features of {precision}"
    extract(work / "images", plain_rows(manifest), embedding, work / "store", None, output)
    folders = {"images": work / "images", "features": output, "views": output}
    return Run(manifest, backbone=work / "backbone.keras", temporary=work / "temporary", **folders)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) cosines of the angles between the rows of two (n, ...) arrays."""
    a, b = (each.reshape(len(each), -1).astype(np.float64) for each in (a, b))
    value: np.ndarray = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return value


def _load(run: Run, rows: Any, params: SimpleNamespace) -> np.ndarray:
    return load_features([run.features], rows, params.memory_limit, run.temporary / "features.npy")


def _predictions(outcome: Outcome, work: Path) -> pd.DataFrame:
    facts = {"seeds": outcome.facts["seeds"]}
    write_predictions(work / "predictions.parquet", outcome.rows, outcome.scores, outcome.classes, facts)
    return first_seed(*read_predictions(work / "predictions.parquet"))


def _accuracy(frame: pd.DataFrame) -> float:
    scores, classes = score_matrix(frame)
    return float((np.array(classes)[scores.argmax(1)] == frame["y_true"].to_numpy()).mean())


def _describe_deployed(outcome: Outcome, frame: pd.DataFrame, exact: Run, params: SimpleNamespace) -> str:
    """Tell how far the deployed file's scores, of Keras in float32, are from those reported."""
    test = frame[frame["split"] == "test"]
    reported, _ = score_matrix(test)
    features = _load(exact, [(key, 0) for key in test["key"]], params)
    scores = outcome.model.layers[-1].predict(features.astype(np.float32), verbose=0)
    scores = np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores
    apart, changed = np.abs(scores - reported).max(1), (scores.argmax(1) != reported.argmax(1)).sum()
    return (
        f"deployed in float32, learned from int8: a score differs by up to {apart.max():.3f}, by "
        f"{np.median(apart):.4f} in the median; {changed} of {len(test)} answers are others"
    )


if __name__ == "__main__":
    typer.run(main)
