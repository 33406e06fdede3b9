"""graft's way to the same ends, by the functions that its stages call.

Each function builds what is needed, warms it up with one batch, and returns the part that is timed.
"""

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd

from graft.config.data import Prepare, SplitParams
from graft.config.features import Augmentation, BackboneRow, EngineName, FeaturePrecision, Precision
from graft.config.load import load_params
from graft.config.training import CachedMethod, Head, HeadMethod, Inline
from graft.data.datasets import folder
from graft.data.decoding import load_pixels
from graft.data.ingest import prepare
from graft.data.manifest import COLUMNS
from graft.data.sharding import count_shards, shard_name
from graft.data.split import make_manifest
from graft.export.measure import measure_apart
from graft.export.registry import FORMATS
from graft.features.embedding import Embedding
from graft.features.engines.choice import choose_engine
from graft.features.engines.keras import KERAS
from graft.features.extraction import extract, open_store
from graft.features.format import Row, plain_rows, read_features, shard_files, write_features
from graft.features.store import FeatureStore
from graft.methods import inline as inline_method
from graft.methods import two_stage
from graft.methods.run import Run
from graft.models.backbones import Backbone, make_embedder
from graft.models.serialization import save_model
from graft.serving.classifier import load
from graft.serving.sources import find_images
from graft.serving.stream import predict_stream
from int8 import cosine
from machine import add, matmul
from plain import save_classifier

ROOT = Path(__file__).resolve().parents[1]
AUGMENTATION = Augmentation(
    flip="horizontal",
    rotation=0.2,
    zoom=0.2,
    translation=0,
    crop=0,
    brightness=0,
    contrast=0,
    fill_mode="reflect",
    interpolation="bilinear",
)
HEAD = Head(pooling="flatten", normalise="none", dense=(256, 128), batch_norm=False, dropout=0.5, l2=0)
MEMORY_LIMIT = 2.0  # GB
N_COMPARED = 64  # images, in int8 and in float32
PLAIN = {"precision": "float32"}  # of a fingerprint what training reads
DENSITY = 0.2  # of made-up features: the share that is not zero

Timed = Callable[[], dict[str, float]]


def extraction(
    images: str, work: str, row: dict[str, Any], weights: str = "random", precision: Precision = "float32"
) -> Timed:
    """JPEG files -> `data/features`, from an empty store: prepare, split and extract.

    Args:
        images: a folder per class.
        work: an empty folder for the results.
        row: the backbone, as a row of params.yaml.
        weights: path of a weights file, or random.
        precision: of the backbone.
    """
    backbone = _backbone(row, weights, precision)
    embedding = Embedding(backbone, BackboneRow(**row), weights, precision)
    return lambda: _extract(Path(work), _pack(images, work, "fractions"), embedding)


def share(images: str, work: str, row: dict[str, Any], size: int) -> Timed:
    """The extraction of prepared images, with matrix products right before and after it.

    Args:
        images: a folder per class.
        work: an empty folder for the results.
        row: the backbone, as a row of params.yaml.
        size: rows = columns of the matrices.
    """
    backbone, product = _backbone(row), matmul(size, "float32")
    embedding = Embedding(backbone, BackboneRow(**row), "random", "float32")
    manifest = _pack(images, work, "fractions")

    def run() -> dict[str, float]:
        before, extracted, after = _rate(product), _extract(Path(work), manifest, embedding), _rate(product)
        reached = extracted["gflop"] / extracted["seconds_embedding"]
        return {"matmul": (before + after) / 2, "reached": reached, **extracted}

    return run


def engine(images: str, work: str, row: dict[str, Any], precision: FeaturePrecision) -> Timed:
    """Prepared images -> `data/features`, int8 by OpenVINO, else by Keras.

    Args:
        images: a folder per class.
        work: an empty folder for the results.
        row: the backbone, as a row of params.yaml.
        precision: of the features.
    """
    manifest, backbone = _pack(images, work, "fractions"), _backbone(row)
    name: EngineName = "openvino" if precision == "int8" else "keras"
    chosen, _ = choose_engine(name, precision, Path(work, "images"), manifest)
    embedding = Embedding(backbone, BackboneRow(**row), "random", precision, engine=chosen)
    embedding.embed(_batch(row))
    pixels = load_pixels(Path(work, "images"), list(manifest["key"][:N_COMPARED]), row["image_size"])
    exact = make_embedder(backbone, row["batch_size"])(pixels)
    least = float(cosine(embedding.embed(pixels), exact).min())
    return lambda: _extract(Path(work), manifest, embedding) | {"cosine": least}


def increment(images: str, work: str, row: dict[str, Any], known: str | None = None, n_new: int = 0) -> Timed:
    """Prepared images -> `data/features`, from an empty store or from one that knows most of them.

    Args:
        images: a folder per class.
        work: an empty folder for the results.
        row: the backbone, as a row of params.yaml.
        known: features of the same images to put into the store; None: none.
        n_new: how many of them are left out.
    """
    backbone = _backbone(row)
    embedding = Embedding(backbone, BackboneRow(**row), "random", "float32")
    manifest = _pack(images, work, "fractions")
    if known:
        store = FeatureStore(Path(work, "store"), embedding.fingerprint, backbone.output_shape[1:])
        old = set(manifest["key"][n_new:])
        for rows, features in map(read_features, shard_files(Path(known))):
            kept = [i for i, (key, _) in enumerate(rows) if key in old]
            for start in range(0, len(kept), row["batch_size"]):
                batch = kept[start : start + row["batch_size"]]
                store.put([rows[i] for i in batch], features[batch])
    return lambda: _extract(Path(work), manifest, embedding)


def workers(images: str, work: str, row: dict[str, Any], n: int) -> Timed:
    """Prepared images -> store, by workers of Dask that have embedded some before.

    Args:
        images: a folder per class.
        work: an empty folder for the results.
        row: the backbone, as a row of params.yaml.
        n: how many workers, of a thread each.
    """
    from graft.features.views import build_embeddings
    from graft.features.workers.dask import BATCHES, Cluster, start_workers

    values = {"row": BackboneRow(**row), "weights": "random", "seed": 0, "precision": "float32"}
    recipe = SimpleNamespace(**values, augmentation=AUGMENTATION), KERAS, "float32"
    rows, (embedding, _) = plain_rows(_pack(images, work, "fractions")), build_embeddings(*recipe)
    stack = ExitStack()
    atexit.register(stack.close)
    cluster = Cluster(stack.enter_context(start_workers(n)), recipe)

    def fill(some: list[Row], store: str) -> dict[str, float]:
        entries = open_store(Path(work, store), embedding)
        cluster.fill(Path(work, "images"), some, embedding, entries, "embed")
        return {"images": len(some)}

    fill(rows[: 2 * n * BATCHES * row["batch_size"]], "warm")
    return lambda: fill(rows, "store")


def inline(images: str, work: str, row: dict[str, Any], precision: Precision, epochs: int) -> Timed:
    """Epochs of augmentation -> frozen VGG19 -> head, with validation.

    Args:
        images: folder of `train`, `validation` and `test`, each with two class folders.
        work: an empty folder for the results.
        row: the backbone, as a row of params.yaml.
        precision: of the backbone.
        epochs: how many.
    """
    params = _params(row, memory_limit=MEMORY_LIMIT, augmentation=AUGMENTATION)
    params.inline = _block("inline", Inline, row, epochs).model_copy(update={"precision": precision})
    run = _run(Path(work), _pack(images, work, "given"))
    return lambda: {"epochs": epochs, **inline_method.train(params, run).timing}


def second_training(work: str, row: dict[str, Any], counts: dict[str, int], epochs: int) -> Timed:
    """A `two_stage` training on features that are there: made up, since no duration depends on them.

    Args:
        work: an empty folder for the features.
        row: the backbone, as a row of params.yaml.
        counts: how many images each split has.
        epochs: how many.
    """
    backbone = _backbone(row)
    save_model(backbone, Path(work, "backbone.keras"))
    params = _params(row, memory_limit=MEMORY_LIMIT, seeds=[0])
    params.two_stage = _block("two_stage", CachedMethod, row, epochs)
    run = _run(Path(work), _make_up_features(Path(work), counts, backbone.output_shape[1:]))
    return lambda: {"epochs": epochs, **two_stage.train(params, run).timing}


def prediction(images: str, work: str, row: dict[str, Any]) -> Timed:
    """Image files -> a table of labels and scores, as `graft predict --csv` writes it.

    Args:
        images: a folder per class.
        work: folder of the model and of the table.
        row: the backbone, as a row of params.yaml.
    """
    classifier = load(_export(Path(work), row, "keras", "float32"))

    def run() -> dict[str, float]:
        tables = [batch.table for batch in predict_stream(classifier, find_images([images]))]
        pd.concat(tables).to_csv(Path(work, "predictions.csv"))
        return {"images": sum(map(len, tables))}

    return run


def head_training(work: str, row: dict[str, Any], counts: dict[str, int], epochs: int, size: int) -> Timed:
    """A `two_stage` training on features that are there, and the machine's limit, measured before and after.

    In each step Adam reads weights, gradients and both moments, and writes all but the gradients. The rest
    are matrix products: one forward, one for the gradients of the weights, and, but for the first layer,
    one for those of its inputs.

    Args:
        work: an empty folder for the features.
        row: the backbone, as a row of params.yaml.
        counts: how many images each split has.
        epochs: how many.
        size: rows = columns of the matrices whose product is the machine's rate.
    """
    train = second_training(work, row, counts, epochs)
    widths = [np.prod(_backbone(row).output_shape[1:]), *HEAD.dense, 1]
    kernels = [a * b for a, b in pairwise(widths)]
    products, sums = matmul(size, "float32"), add(2 * sum(kernels))
    gb = -(-counts["train"] // row["batch_size"]) * 7 * 4 * sum(kernels) / 1e9
    forward, backward = 2 * sum(kernels), 4 * sum(kernels) - 2 * kernels[0]
    gflop = (counts["train"] * (forward + backward) + counts["validation"] * forward) / 1e9

    def limit() -> float:
        return gb / _rate(sums) + gflop / _rate(products)

    def run() -> dict[str, float]:
        before, trained, after = limit(), train(), limit()
        return {**trained, "gb": gb, "gflop": gflop, "limit": epochs * (before + after) / 2}

    return run


def exported(work: str, row: dict[str, Any], format: str, precision: str) -> Timed:
    """A model file in a process of its own, one image at a time, in one thread.

    Args:
        work: folder of the file.
        row: the backbone, as a row of params.yaml.
        format: one of `graft.export.registry.FORMATS`.
        precision: one of its.
    """
    file, image = _export(Path(work), row, format, precision), _batch(row)[:1]
    return lambda: {"images": measure_apart(file, image, 1).images_per_second["1"], "seconds": 1.0}


def _export(work: Path, row: dict[str, Any], format: str, precision: str) -> Path:
    """Write a model of two classes in a format; returns the file."""
    model = keras.saving.load_model(save_classifier(work / "plain.keras", row))
    card = {"classes": ["a", "b"], "image_size": row["image_size"], "channels": 3}
    file = work / f"model{FORMATS[format].suffix}"
    calibration = np.random.default_rng(0).integers(0, 256, (32, *model.input_shape[1:]), np.uint8)
    FORMATS[format].load().write(model, card, file, precision, calibration)
    return file


def _rate(work: Timed) -> float:
    """Count how much of the only thing it counts it does in a second."""
    started = perf_counter()
    (amount,) = work().values()
    return amount / (perf_counter() - started)


def _backbone(row: dict[str, Any], weights: str = "random", precision: Precision = "float32") -> keras.Model:
    """The backbone, after one batch."""
    backbone = Backbone(BackboneRow(**row), weights, 0).build(precision)
    make_embedder(backbone, row["batch_size"])(_batch(row))
    return backbone


def _batch(row: dict[str, Any]) -> np.ndarray:
    return np.zeros((row["batch_size"], row["image_size"], row["image_size"], 3), np.uint8)


def _pack(source: str, work: str, strategy: str) -> pd.DataFrame:
    """Write `images` and return the manifest."""
    images, raw = Path(work, "images"), Path(work, "raw")
    limits = Prepare(
        max_rejected=0.0,
        max_pixels=100_000_000,
        label_conflicts="refuse",
        empty_classes="refuse",
        bit_depth=16,
    )
    folder.fetch(raw, Path(source), Path(work))
    prepare(folder.read(raw), limits, images)
    split = SplitParams(
        strategy=strategy,
        classes=None,
        max_per_class=None,
        min_per_class=1,
        validation=0.1,
        fractions={"train": 0.5, "validation": 0.25, "test": 0.25},
        index_ranges={"train": (0, 0), "validation": (1, 1), "test": (2, 2)},
    )
    return make_manifest(pd.read_parquet(images, columns=COLUMNS), split, seed=0)


def _extract(work: Path, manifest: pd.DataFrame, embedding: Embedding) -> dict[str, float]:
    output = work / "features"
    counts = extract(work / "images", plain_rows(manifest), embedding, work / "store", None, output)
    n_bytes = sum(file.stat().st_size for file in shard_files(output))
    return {
        **counts,
        "images": len(manifest),
        "gflop": len(manifest) * _gflop(embedding.model),
        "bytes": n_bytes,
    }


def _gflop(backbone: keras.Model) -> float:
    """Of the convolutions for one image, two operations a multiplication and addition."""
    parts = [part for part in backbone.layers if isinstance(part, keras.Model)]
    layers = [layer for part in parts for layer in part.layers if isinstance(layer, keras.layers.Conv2D)]
    return sum(2 * np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3]) for layer in layers) / 1e9


def _run(work: Path, manifest: pd.DataFrame) -> Run:
    folders = {name: work / name for name in ("images", "features", "views", "temporary")}
    return Run(manifest, backbone=work / "backbone.keras", **folders)


def _params(row: dict[str, Any], **others: Any) -> SimpleNamespace:
    """The parameters that a method reads beside its own block."""
    return SimpleNamespace(backbone="vgg19", weights="random", seed=0, row=BackboneRow(**row), **others)


def _block(method: str, schema: type[HeadMethod], row: dict[str, Any], epochs: int) -> Any:
    """A method's block of params.yaml, with the head and the training of the plain way."""
    block = getattr(load_params({method: schema}, path=ROOT / "params.yaml"), method)
    plain = {"head": HEAD, "optimizer": "adam", "learning_rate": 0.001, "patience": None, "epochs": epochs}
    return block.model_copy(update={**plain, "batch_size": row["batch_size"]})


def _make_up_features(work: Path, counts: dict[str, int], shape: tuple[int, ...]) -> pd.DataFrame:
    """Write `features`, sparse as those of a backbone, and return their manifest."""
    rng = np.random.default_rng(0)
    splits = np.repeat(list(counts), list(counts.values()))
    keys = sorted(rng.bytes(32).hex() for _ in splits)
    labels = rng.permutation(np.arange(len(keys)) % 2).astype(str)
    manifest = pd.DataFrame({"key": keys, "path": keys, "label": labels, "split": rng.permutation(splits)})
    (work / "features").mkdir(parents=True)
    n_shards = count_shards(len(keys))
    for name, rows in manifest.groupby(manifest["key"].map(lambda key: shard_name(key, n_shards))):
        values = rng.random((len(rows), *shape), np.float32)
        features = np.where(values < DENSITY, values / DENSITY, 0).astype(np.float16)
        write_features(
            work / "features" / f"{name}.parquet", [(key, 0) for key in rows["key"]], features, PLAIN
        )
    return manifest
