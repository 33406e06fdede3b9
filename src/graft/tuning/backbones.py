"""A backbone and the images of train and validation -> its costs, and what `linear` makes of its features."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from graft import BACKEND
from graft.config.features import (
    RANDOM,
    BackboneRow,
    EngineName,
    FeaturePrecision,
    Precision,
    weights_name,
)
from graft.config.paths import FEATURES, IMAGES, STORE, TEMPORARY
from graft.config.training import Linear
from graft.config.types import Positive, Seed, Text
from graft.features.embedding import Embedding
from graft.features.engines.keras import Engine
from graft.features.extraction import get_or_embed, look_up, open_store
from graft.features.filling import embed_batches
from graft.features.format import Row, plain_rows
from graft.features.store import FeatureStore
from graft.methods.linear import Room
from graft.models.backbones import Backbone
from graft.models.heads import pool
from graft.models.serialization import save_model
from graft.tuning.folds import answer_folds, count_folds
from graft.utils.belonging import identify_output
from graft.utils.memory import allocate
from graft.utils.temporary import emptied

PARAMS = {
    "seed": Seed,
    "backbone": Text,
    "weights": Text,
    "backbones": dict[str, BackboneRow],
    "features.engine": EngineName,
    "features.precision": FeaturePrecision,
    "features.memory_limit": Positive,
    "linear": Linear,
}
REPEATS = 3  # of the folds, each time shuffled otherwise
TIMED_BATCHES = 2  # at least: of fewer, the seconds say nothing
CHUNK_ROWS = 1024


@dataclass(frozen=True)
class Task:
    """The images that backbones are compared on, and all that is the same for each of them.

    Attributes:
        root: of the repository.
        repo: the same where HEAD may have features of params.yaml's backbone; else None.
        manifest: of train and validation.
        params: the values of `PARAMS`.
        engine, precision: as `graft.features.engines.choice.choose_engine` gives them.
    """

    root: Path
    repo: Path | None
    manifest: pd.DataFrame
    params: SimpleNamespace
    engine: Engine
    precision: Precision

    @property
    def rows(self) -> list[Row]:
        """The (key, view) of each image, sorted: the order of all arrays."""
        return plain_rows(self.manifest)

    @property
    def labels(self) -> np.ndarray:
        """The (n,) labels, as text."""
        return self.manifest.sort_values("key")["label"].to_numpy(dtype=str)


def describe_recipe(name: str, weights: str, task: Task) -> dict[str, Any]:
    """Describe all that a result depends on besides the images: where it is as before, so is the result."""
    params = task.params
    return {
        "row": params.backbones[name].model_dump(mode="json"),
        "weights": weights_name(weights),
        "file": identify_output(Path(weights)),
        "seed": params.seed if weights == RANDOM else None,
        "engine": params.engine,
        "precision": params.precision,
        "linear": params.linear.model_dump(mode="json"),
        "repeats": REPEATS,
        "versions": {package: version(package) for package in ("keras", BACKEND, "scikit-learn")},
    }


def measure(name: str, weights: str, task: Task, advance: Callable[[int], None]) -> dict[str, Any]:
    """Embed the images that the store lacks, and fit `linear` on folds of all.

    Args:
        name: of the backbone, a row of params.yaml.
        weights: as `graft.models.backbones.Backbone` takes them.
        task: images and parameters.
        advance: is told how many more images have features.

    Returns:
        ``recipe``, `describe_recipe`; ``backbone`` and ``weights``; ``right``, a digit for each image, sorted
        by key: in how many of the repeats it was answered right; ``embedded``; ``images_per_second``, None
        where fewer than `TIMED_BATCHES` were embedded; ``shape`` of a feature; ``parameters``; ``bytes`` of
        the backbone's file.

    Raises:
        ValueError: if the backbone cannot be had, or its features do not fit the cache.
    """
    n_folds, params = count_folds(task.labels, task.params.linear.sampling), task.params
    model = Backbone(params.backbones[name], weights, params.seed).build(task.precision)
    embedding = Embedding(model, params.backbones[name], weights, params.precision, engine=task.engine)
    entries = open_store(task.root / STORE, embedding)
    n, seconds = _embed(embedding, entries, task, task.repo if name == params.backbone else None, advance)
    folder = task.root / TEMPORARY
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "backbones.lock"), emptied(folder, "backbones-") as temporary:
        room = Room(params.memory_limit, temporary)
        features, block = _pooled(embedding, entries, task, room), params.linear
        answers = [answer_folds(features, task.labels, n_folds, block, room, i) for i in range(REPEATS)]
        save_model(model, room.temporary / "backbone.keras")
        size = (room.temporary / "backbone.keras").stat().st_size
    return {
        "recipe": describe_recipe(name, weights, task),
        "backbone": name,
        "weights": weights,
        "right": "".join(map(str, np.sum(answers, axis=0))),
        "embedded": n,
        "images_per_second": n / seconds if n >= TIMED_BATCHES * embedding.row.batch_size else None,
        "shape": list(model.output_shape[1:]),
        "parameters": model.count_params(),
        "bytes": size,
    }


def _embed(
    embedding: Embedding,
    entries: FeatureStore,
    task: Task,
    repo: Path | None,
    advance: Callable[[int], None],
) -> tuple[int, float]:
    """Put what is missing into the store; return how many images were embedded, and in how many seconds.

    The first batch, for which the model is compiled, is an empty image and not timed.
    """
    images, wanted = task.root / IMAGES, task.rows
    missing = look_up(images, entries.missing(wanted), embedding, entries, repo, task.root / FEATURES)
    advance(len(wanted) - len(missing))
    if not missing:
        return 0, 0.0
    embedding.embed(np.zeros((1, *embedding.model.input_shape[1:]), np.uint8))
    started = perf_counter()
    for n in embed_batches(images, missing, embedding, entries):
        advance(n)
    seconds = perf_counter() - started
    entries.refresh()
    return len(missing), seconds


def _pooled(embedding: Embedding, entries: FeatureStore, task: Task, room: Room) -> np.ndarray:
    """The (n, d) float32 features of the images, pooled as `linear` does, which each fold then normalises."""
    pooling, rows = task.params.linear.pooling, task.rows
    width = pool(np.zeros((1, *entries.shape)), pooling).shape[1]
    x = allocate((len(rows), width), np.float32, room.memory_limit, room.temporary / "pooled.npy")
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        features, _ = get_or_embed(task.root / IMAGES, part, embedding, entries)
        x[start : start + len(part)] = pool(features.astype(np.float64), pooling)
    return x
