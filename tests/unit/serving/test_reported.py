"""The deployed model is the reported model: on the demo's photos, with ImageNet weights, by the defaults."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import graft
from graft.config.load import read_params
from graft.data.decoding import load_pixels
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix
from graft.methods.params import parse_params
from graft.methods.registry import METHODS
from helpers.outcomes import write_outcome
from helpers.repository import ROOT

CHOSEN = ("linear", "two_stage", "inline")  # a head of scikit-learn, one of Keras, and no cache


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's images, models and predictions as the pipeline makes them, with one seed and few epochs."""
    from graft.data.datasets import demo
    from graft.data.ingest import prepare
    from graft.data.manifest import COLUMNS
    from graft.data.split import make_manifest
    from graft.features.embedding import Embedding
    from graft.features.extraction import extract
    from graft.features.format import plain_rows
    from graft.methods.run import Run
    from graft.models.backbones import Backbone
    from graft.models.serialization import save_model

    root = tmp_path_factory.mktemp("demo")
    params = parse_params(read_params(ROOT / "params.yaml"))
    row = params.backbones[params.backbone]
    demo.fetch(root / "raw", Path(), Path())
    prepare(demo.read(root / "raw"), params.prepare, root / "images")
    manifest = make_manifest(pd.read_parquet(root / "images", columns=COLUMNS), params.split, params.seed)
    backbone = Backbone(row, params.weights, params.seed).build()
    save_model(backbone, root / "backbone.keras")
    embedding = Embedding(backbone, row, params.weights, "float32")
    extract(root / "images", plain_rows(manifest), embedding, root / "store", None, root / "features")
    run = Run(
        manifest,
        root / "images",
        root / "features",
        root / "views",
        root / "backbone.keras",
        root / "temporary",
    )
    values = dict(params) | {"row": row, "memory_limit": 2.0, "seeds": (0,)}
    values["inline"] = params.inline.model_copy(update={"epochs": 1})
    for method in CHOSEN:
        write_outcome(METHODS[method].load().train(SimpleNamespace(**values), run), method, root)
    return root


@pytest.mark.long
@pytest.mark.parametrize("method", CHOSEN)
def test_the_model_scores_as_its_predictions_say(demo: Any, method: str) -> None:
    rows = first_seed(*read_predictions(demo / "predictions" / f"{method}.parquet"))
    reported, _ = score_matrix(rows)
    model = graft.load(demo / "models" / method)
    pixels = load_pixels(demo / "images", list(rows["key"]), model.card["image_size"])
    scores = np.concatenate([model.score(pixels[i : i + 16]).scores for i in range(0, len(pixels), 16)])
    assert np.abs(scores - reported).max() < 2e-3
    changed = scores.argmax(1) != reported.argmax(1)
    best = np.sort(reported[changed], axis=1)
    assert (best[:, -1] - best[:, -2] < 2e-3).all()
    assert model.card["accuracy"]["test"]["value"] > 0.5  # these are real weights
