"""What the tests of the TensorFlow side share: a tiny dataset, a tiny backbone, the methods trained once.

TensorFlow is imported in the fixtures, so that the other tests start without it.
"""

import os
import shutil
from collections.abc import Callable
from itertools import groupby, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from graft.config.load import read_params
from graft.config.training import HeadMethod, Training
from graft.methods.params import Params, parse_params
from graft.methods.registry import METHODS
from helpers import repository
from helpers.outcomes import keep_outcome, recall_outcome, write_outcome
from helpers.repository import ROOT, VIEWS
from helpers.training import TUNED

pytest_plugins = [
    "helpers.browser",
    "helpers.doctests",
    "helpers.pages",
    "helpers.remotes",
    "helpers.results",
    "helpers.two_stages",
    "helpers.work_trees",
]

Once = Callable[[str, Callable[[Path], object]], Path]


settings.register_profile("graft", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graft")


def pytest_configure(config: pytest.Config) -> None:
    """Keras 3.15 saves a variable through an `__array__` that NumPy 2 calls outdated."""
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )


# A worker takes another file when it is nearly done with its own: with short ones last, all end together.
FIRST = (
    *("team", "pipeline", "recipes", "docs", "experiments", "share", "applications", "methods"),
    *("contributing", "benchmarks", "browser", "results", "many_classes", "extraction_stages", "page"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    place = {f"test_{name}": number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(FIRST)))


@pytest.fixture(scope="session")
def params() -> Params:
    """params.yaml at the size of a test: VGG16 at 32 pixels, cut after its second block."""
    values: dict[str, Any] = read_params(ROOT / "params.yaml")
    row = {"layer": "block2_pool", "image_size": 32, "batch_size": 8}
    head = {
        "pooling": "avg",
        "normalise": "standardise",
        "dense": [8],
        "batch_norm": False,
        "dropout": 0.2,
        "l2": 0.0,
    }
    # Batches of one length: each other length is traced once more, in every training run of a test.
    steps = {"learning_rate": 0.01, "epochs": VIEWS, "batch_size": 10, "patience": None}
    training = {"optimizer": "adam", **steps, "head": head}
    values |= {"backbone": "vgg16", "weights": "random"}
    values["backbones"]["vgg16"] |= row
    values["features"]["views"] = VIEWS
    for name, method in METHODS.items():
        if issubclass(method.load_schema(), HeadMethod):
            values[name] |= training
    values["inline"]["batch_size"] = 8  # one that leaves a shorter batch
    layers = [
        {"Rescaling": {"scale": 1 / 255}},
        {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu"}},
        {"Flatten": {}},
        {"Dropout": {"rate": 0.2}},
    ]
    small = {"image_size": 16, "layers": layers, "epochs": VIEWS, "batch_size": 10}
    values["scratch"] |= small
    values["distilled"] |= {**small, "teacher": "linear"}
    return parse_params(values)


@pytest.fixture(scope="session")
def row(params: Params) -> Any:
    """The tiny backbone's row of params.yaml."""
    return params.backbones[params.backbone]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A function that fills a folder once for all processes: (name, how to fill it) -> the folder.

    Not to be changed.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def once(name: str, fill: Callable[[Path], object]) -> Path:
        folder = base / name
        with FileLock(f"{folder}.lock"):
            if not (base / f"{name}.done").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                (base / f"{name}.done").touch()
        return folder

    return once


@pytest.fixture(scope="session")
def images(params: Params, once: Once) -> Path:
    """`data/images` of the demo's first 8 images of each of its five classes."""
    from graft.data.datasets import demo
    from graft.data.ingest import prepare

    def fill(folder: Path) -> None:
        demo.fetch(folder / "raw", Path(), Path())
        by_class = groupby(demo.read(folder / "raw"), lambda image: image.label)
        first = [image for _, images in by_class for image in islice(images, 8)]
        prepare(first, params.prepare, folder / "images")

    return once("data", fill) / "images"


@pytest.fixture(scope="session")
def manifest(params: Params, images: Path) -> pd.DataFrame:
    """The manifest of `images`: 20 of train, 10 of validation, 10 of test."""
    from graft.data.manifest import COLUMNS
    from graft.data.split import make_manifest

    return make_manifest(pd.read_parquet(images, columns=COLUMNS), params.split, params.seed)


@pytest.fixture(scope="session")
def backbone(row: Any) -> Any:
    """The tiny backbone with random weights: (32, 32, 3) -> (8, 8, 128)."""
    from graft.models.backbones import Backbone

    return Backbone(row, "random", 0).build()


@pytest.fixture(scope="session")
def cached(params: Params, row: Any, images: Path, manifest: pd.DataFrame, backbone: Any, once: Once) -> Path:
    """A folder with `features` and `views` of `images`, and the `store` that they are from."""
    from graft.features.embedding import Embedding
    from graft.features.extraction import extract
    from graft.features.format import plain_rows, view_rows
    from graft.features.views import ViewEmbedding

    def fill(folder: Path) -> None:
        made, store = (backbone, row, "random", "float32"), folder / "store"
        extract(images, plain_rows(manifest), Embedding(*made), store, None, folder / "features")
        views = ViewEmbedding(*made, params.augmentation)
        extract(images, view_rows(manifest, VIEWS), views, store, None, folder / "views")

    return once("cached", fill)


@pytest.fixture(scope="session")
def features(cached: Path) -> Path:
    """`data/features` of `images`."""
    return cached / "features"


@pytest.fixture(scope="session")
def views(cached: Path) -> Path:
    """`data/views` of `images`: `VIEWS` of each training image."""
    return cached / "views"


@pytest.fixture(scope="session")
def train(
    params: Params,
    row: Any,
    images: Path,
    features: Path,
    views: Path,
    manifest: pd.DataFrame,
    backbone: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """A function that trains: (method, seeds, **other inputs and changes of its block) -> Outcome."""
    from graft.evaluation.predictions import read_predictions
    from graft.methods.run import Run
    from graft.models.serialization import save_model

    folder = tmp_path_factory.mktemp("training")
    save_model(backbone, folder / "backbone.keras")

    def train(
        method: str,
        seeds: tuple[int, ...] | str = (0,),
        memory_limit: float = 1.0,
        embed: Any = None,
        **changes: Any,
    ) -> Any:
        places = {
            key: changes.pop(key)
            for key in ("features", "views", "temporary", "live", "checkpoints")
            if key in changes
        }
        others = changes.pop("trained", folder)  # the files of an ensemble's members, or of a teacher
        if method == "distilled" and others is folder and not (others / "models").exists():
            write_outcome(train("linear"), "linear", others)
        run = Run(
            manifest,
            **{"images": images, "features": features, "views": views, "temporary": folder, **places},
            backbone=folder / "backbone.keras",
            models=others / "models",
            read_predictions=lambda name: read_predictions(others / "predictions" / f"{name}.parquet"),
        )
        block = getattr(params, method)
        has_seeds = isinstance(block, Training) and "seeds" in type(block).model_fields
        own = {"seeds": seeds} if has_seeds or isinstance(seeds, str) else {}
        block = type(block).model_validate({**block.model_dump(), **own, **changes})
        values = dict(params) | {"row": row, "memory_limit": memory_limit, "views": VIEWS, "seeds": seeds}
        module = METHODS[method].load()
        with pytest.MonkeyPatch.context() as patch:
            if embed is not None:
                patch.setattr(module, "make_embedder", lambda *_, **__: embed)
            return module.train(SimpleNamespace(**values | {method: block}), run)

    return train


@pytest.fixture(scope="session")
def trained(train: Any, once: Once) -> dict[str, SimpleNamespace]:
    """Each method trained once: its `outcome`, with the model of its file, and the files' places."""

    def fill(root: Path) -> None:
        for method in METHODS:
            outcome = train(method, live=root / "models" / method / "live", trained=root)
            write_outcome(outcome, method, root)
            keep_outcome(outcome, root / "outcomes" / method)

    root = once("trained", fill)
    return {
        method: SimpleNamespace(
            outcome=recall_outcome(root / "outcomes" / method),
            model=root / "models" / method / "model.keras",
            live=root / "models" / method / "live",
            history=root / "models" / method / "history.csv",
            predictions=root / "predictions" / f"{method}.parquet",
        )
        for method in METHODS
    }


@pytest.fixture(scope="session")
def tuned(train: Any, once: Once) -> SimpleNamespace:
    """A fine-tuned method: its `outcome`, after one epoch of the head, and its `live` curve."""

    def fill(folder: Path) -> None:
        outcome = train("inline", epochs=1, fine_tune=TUNED, live=folder / "live")
        keep_outcome(outcome, folder / "outcome")

    folder = once("tuned", fill)
    return SimpleNamespace(outcome=recall_outcome(folder / "outcome"), live=folder / "live")


@pytest.fixture(scope="session")
def built(once: Once) -> SimpleNamespace:
    """A small repository after its first `dvc repro` and what that printed.

    Not to be changed: `copy_of_built` is.
    """

    def fill(folder: Path) -> None:
        (folder / "log").write_text(repository.build(folder / "repo"), encoding="utf-8")

    folder = once("built", fill)
    return SimpleNamespace(repo=folder / "repo", output=(folder / "log").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def copy_of_built(built: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the built repository for the tests of a module."""
    copy = tmp_path_factory.mktemp("copy") / "repo"
    shutil.copytree(built.repo, copy, symlinks=True)
    return copy
