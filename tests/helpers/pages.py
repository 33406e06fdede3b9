"""The values that the page is made of, for random predictions, and pages of them."""

import json
from base64 import b64encode
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from graft.config.load import load_params
from graft.curation.embedding_map import draw_sheet
from graft.data.manifest import write_manifest
from graft.evaluation.compare import compare
from graft.evaluation.metrics import evaluate
from graft.evaluation.predictions import SCORE, first_seed, write_predictions
from graft.export.records import write_exports
from graft.methods.registry import METHODS
from graft.report.classes import describe_classes
from graft.report.gallery import choose_gallery
from graft.report.inputs import Inputs
from graft.report.mapping import describe_map
from graft.report.page import PARAMS, build_page
from graft.report.provenance import NO_COMMIT, Provenance
from graft.report.views import choose_originals
from graft.utils.timing import write_timing
from helpers.comparison import TIMING, WITHOUT_EPOCHS, make_facts
from helpers.repository import ROOT

FLOWERS = ["daisy", "rose", "tulip"]
LONG = ("a_very_long_class_name_" * 3)[:60]
NAMES = ["<b>x", '"quoted"', "it's & <script>alert(1)</script>", LONG, "写真", "ورد", "$x^2$ {{ 7 * 7 }}"]
MANY = sorted(NAMES + [f"class {n:02d}" for n in range(40 - len(NAMES))])
EXPORT = {
    "format": "onnx",
    "precision": "int8",
    "file": "exports/a-int8.onnx",
    "bytes": 4_000_000,
    "accuracy": 0.75,
    "differing_answers": 1,
    "n_images": 12,
    "images_per_second": {"1": 345.6, "16": 500.0},
    "passed": True,
}
COMMIT = Provenance("0123456789ab", "2026-11-23T12:00:00+00:00", "git switch --detach 0 && make repro", ())


def encode(pixels, kind="JPEG"):
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def make_image(seed, size=(48, 64), channels=3):
    """Pixels like a photograph's: smooth areas and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, channels), dtype=np.uint8).squeeze()
    smooth = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-25, 26, smooth.shape), 0, 255).astype(np.uint8)


def make_manifest(classes, n_test):
    """Three train images and one of validation of each class, and so many of test; keys as of real images."""
    splits = ["train"] * 3 + ["validation"] + ["test"] * n_test
    rows = [(label, split, f"{label}/{n}.jpg") for label in classes for n, split in enumerate(splits)]
    frame = pd.DataFrame(rows, columns=["label", "split", "path"])
    return frame.assign(key=[sha256(path.encode()).hexdigest() for path in frame["path"]])


def predict(manifest, classes, rng, share_wrong, seeds):
    """Scores of the validation and test images; so many of the latter wrong."""
    rows = manifest[manifest["split"] != "train"]
    scores = np.empty((len(seeds), len(rows), len(classes)))
    for n in range(len(seeds)):
        decided = rows["label"].map(classes.index).to_numpy()
        wrong = (rng.random(len(rows)) < share_wrong) & (rows["split"] == "test").to_numpy()
        decided = np.where(wrong, (decided + 1) % len(classes), decided)
        scores[n] = rng.dirichlet(np.ones(len(classes)), len(rows)) * 0.4
        scores[n, np.arange(len(rows)), decided] += 0.6
    parts = [rows[["key", "split"]].assign(y_true=rows["label"], seed=seed) for seed in seeds]
    frame = pd.concat(parts, ignore_index=True)
    columns = [SCORE + label for label in classes]
    wide = pd.DataFrame(scores.reshape(-1, len(classes)), frame.index, columns, np.float32)
    return pd.concat([frame, wide], axis=1)


def explain(predictions, manifest):
    """An index.json: every test image explained for the methods with a backbone, a third for each reason."""
    test = manifest[manifest["split"] == "test"].sort_values("key")
    methods = [method for method in predictions if METHODS[method].has_backbone]
    reasons = ["mistake", "hesitant", "clear"]
    return {
        "methods": methods,
        "images": [
            {
                "key": key,
                "label": label,
                "reasons": dict.fromkeys(methods, reasons[n % 3]),
                "maps": {m: {"class": label, "score": 0.98, "file": f"{m}/{key}.png"} for m in methods},
            }
            for n, (key, label) in enumerate(zip(test["key"], test["label"], strict=True))
        ],
    }


LEFT_OUT = {
    "classes": {},
    "empty_classes": {"<owl>": "12 .tif"},
    "similar_classes": [["cat ", "Cat"]],
    "ignored_files": {".tif": 12},
    "ignored_folders": {"empty": 1},
    "sixteen_bit_images": {"12": 3},
}


def make_inputs(classes, methods=tuple(METHODS), n_test=4, share_wrong=0.3, draw=make_image, explained=None):
    """Random predictions as stages would have written them; the methods on features have two seeds."""
    manifest, rng = make_manifest(classes, n_test), np.random.default_rng(0)
    predictions = {}
    for method in methods:
        own = [0, 1] if METHODS[method].features else [0]
        epochs = {} if method in WITHOUT_EPOCHS else {"best_epoch": 2, "epochs": 2}
        facts = make_facts(method, seeds=own, n_seen_train=3 * len(classes), **epochs)
        predictions[method] = (predict(manifest, classes, rng, share_wrong, own), facts)
    metrics = {method: evaluate(*predicted, manifest, 0.95, 15) for method, predicted in predictions.items()}
    gallery = choose_gallery(predictions, manifest, explained or explain(predictions, manifest))
    curve = {"accuracy": [0.5, 0.7], "loss": [1.0, 0.5], "val_accuracy": [0.4, 0.6], "val_loss": [1.1, 0.7]}
    return Inputs(
        comparison=compare(predictions, metrics),
        metrics=metrics,
        data={
            **LEFT_OUT,
            "classes": {**dict.fromkeys(classes, 9), "<rare>": 1},
            "n_read": len(manifest) + 3,
            "n_rejected": 1,
            "rejected_share": 1 / (len(manifest) + 3),
            "rejects": [{"path": "rose/<i>bad</i>.jpg", "reason": "truncated"}],
            "duplicates": 2,
            "duplicates_across_splits": 1,
            "duplicate_paths": [{"kept": f"a/{n}.jpg", "dropped": f"b/{n}.jpg"} for n in range(2)],
            "notice": "By <the> photographers, CC BY 2.0.",
        },
        timing=TIMING,
        histories={
            m: pd.DataFrame({"C" if m in WITHOUT_EPOCHS else "epoch": [1, 2], **curve}) for m in methods
        },
        predictions=predictions,
        manifest=manifest,
        gallery=gallery,
        images={
            key: encode(draw(n)) for n, key in enumerate(sorted({*gallery.keys, *choose_originals(manifest)}))
        },
        exports={methods[0]: [EXPORT, EXPORT | {"file": "exports/b.tflite", "passed": False}]},
        maps=dict(zip(gallery.maps, cycle(encode(make_image(n, (98, 128)), "PNG") for n in range(9)))),
    )


VOID, INLINE = {"meta", "img", "br", "wbr"}, {"wbr", "bdi", "b", "span", "text"}


class Parsed(HTMLParser):
    """A page: its tags with their attributes and ancestors, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        self.text += [" "] * (tag not in INLINE)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs, _ in self.tags if name == tag]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@cache
def read_defaults():
    return vars(load_params(PARAMS, ROOT / "params.yaml"))


def build(inputs, provenance=COMMIT, **params):
    params = SimpleNamespace(**read_defaults() | {"dataset": "flowers"} | params)
    confidence, bins = inputs.comparison["confidence"], params.metrics.calibration_bins
    classes = describe_classes(inputs.predictions, inputs.manifest, confidence, bins)
    return build_page(inputs, classes, params, provenance)


@pytest.fixture(scope="session")
def inputs():
    return make_inputs(FLOWERS)


@pytest.fixture(scope="session")
def page(inputs):
    return build(inputs)


@pytest.fixture(scope="session")
def many():
    """Forty classes with all kinds of names, 300 mistakes and more, large images."""
    large = make_inputs(MANY, n_test=10, share_wrong=0.32, draw=lambda n: make_image(n, (200, 260)))
    assert large.gallery.counts["mistakes"] >= 300
    return large, build(curated(mapped(monitored(large))))


@pytest.fixture(scope="session")
def least():
    """One method, no mistake, no second, no Grad-CAM, one seed, no commit, gray images of 28 pixels."""
    none = {"methods": [], "images": []}
    gray = make_inputs(FLOWERS, ["scratch"], 4, 0.0, lambda n: make_image(n, (28, 28), 1), none)
    clean = {key: {} for key in LEFT_OUT} | {"similar_classes": [], "notice": None}
    clean |= {"n_rejected": 0, "rejected_share": 0.0, "rejects": []}
    clean |= {"duplicates": 0, "duplicates_across_splits": 0, "duplicate_paths": []}
    return build(replace(gray, timing={}, data=gray.data | clean), provenance=NO_COMMIT)


def monitored(inputs):
    """The inputs with what `graft monitor` found of one method, with names of classes of all kinds."""
    tests = [
        {"name": name, "changed": name != "classes", "statistic": 0.25, "p_value_holm": 1e-9}
        for name in ("components", "kernel", "classes", "confidence")
    ]
    shares = {"share": 0.5, "low": 0.4, "high": 0.6, "reference": 0.3}
    drift = {"verdict": "DRIFT: the <b>images</b> differ.", "sentences": ["p < 0.0001."], "tests": tests}
    drift["classes"] = [shares | {"label": n} for n in NAMES]
    return replace(inputs, monitoring={"linear": drift}, tuning={"two_stage": make_study()})


def make_study(n=12):
    """A study as `graft.tuning.results.describe_study` gives it: one trial was pruned."""
    values: list = [
        {"head.dense": [8] * (i % 3), "head.dropout": i / n, "learning_rate": 10.0**-i} for i in range(n)
    ]
    of_trial = {"state": "complete", "accuracy": 0.5, "epochs": 3}
    trials = [of_trial | {"number": i + 1, "loss": 1 + i / n, "values": v} for i, v in enumerate(values)]
    finalists = [
        {"number": i, "values": values[i], "losses": [1.0 + i, 2.0], "accuracies": [0.5, 0.75]}
        for i in (2, 0, 3)
    ]
    return {
        "method": "two_stage",
        "space": {
            "head.dense": ["[]", "[8]", "[8, 8]"],
            "head.dropout": {"low": 0, "high": 1, "log": False},
            "learning_rate": {"low": 10.0**-n, "high": 1.0, "log": True},
        },
        "seeds": [0, 1],
        "trials": [*trials[:-1], trials[-1] | {"state": "pruned", "accuracy": None}],
        "finalists": finalists,
        "importance": {"head.dense": 0.25, "learning_rate": 0.75},
        "overrides": ["two_stage.head.dense=[8, 8]"],
    }


def lay_out(inputs, n=None):
    """What `graft map` writes, with places and thumbnails at random."""
    keys, rng = sorted(inputs.manifest["key"])[:n], np.random.default_rng(0)
    noise = (rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in keys)
    return {
        "method": next(iter(inputs.predictions)),
        "keys": keys,
        "places": rng.random((len(keys), 2)).round(4).tolist(),
        "outliers": list(range(min(12, len(keys)))),
        "side": 32,
        "sheet": b64encode(draw_sheet(noise, len(keys))).decode(),
    }


def mapped(inputs):
    """The inputs with a map of all their images."""
    found = lay_out(inputs)
    predictions = first_seed(*inputs.predictions[found["method"]])
    return replace(inputs, mapped=describe_map(found, inputs.manifest, predictions))


def with_backbones(inputs, linear):
    """The inputs with what `graft backbones compare` measured of two: the second one's speed is not known."""
    recipe = {"linear": linear, "repeats": 3, "weights": "imagenet", "row": {"image_size": 224}}
    sizes = {"parameters": 1e7, "shape": [7, 7, 512], "recipe": recipe}
    rows = {"vgg<19>": {"right": "3" * 90 + "1" * 10, "images_per_second": 20.5, "bytes": 8e7}}
    rows["small"] = {"right": "3" * 88 + "0" * 12, "images_per_second": None, "bytes": 9e6}
    return replace(inputs, backbones={name: row | sizes | {"backbone": name} for name, row in rows.items()})


def curated(inputs):
    """The inputs with what `graft curate` counted, two of whose test images leaked."""
    accuracy = {"accuracy": 0.75, "low": 0.5, "high": 0.9, "n": 12}
    leakage = [
        {"method": method, "all": accuracy, "without": accuracy | {"n": 10}} for method in inputs.metrics
    ]
    counts = {"n_images": {"train": 9, "validation": 3, "test": 12}, "accuracy": 0.8, "n_reviewed": 1}
    counts |= {"n_suspects": {"train": 3, "validation": 0, "test": 1}, "n_duplicates": 2, "n_across": 2}
    return replace(inputs, curation=counts | {"n_leaked": 2, "n_outliers": 1, "leakage": leakage})


def write_files(exports, folder):
    """Write a model, its exports and their records, none of which can be loaded."""
    (folder / "model.keras").write_bytes(b"a model")
    if exports:
        (folder / "exports").mkdir()
        for each in exports:
            with (folder / each["file"]).open("wb") as file:
                file.truncate(each["bytes"])
        write_exports(folder, exports)


def write_inputs(inputs, root):
    """Lay the inputs where the stages write them."""
    for method, (frame, facts) in inputs.predictions.items():
        scores = frame.filter(like=SCORE)
        rows = frame[["key", "split", "seed"]].assign(label=frame["y_true"])
        classes = [name.removeprefix(SCORE) for name in scores]
        write_predictions(root / f"predictions/{method}.parquet", rows, scores.to_numpy(), classes, facts)
        (root / f"models/{method}").mkdir(parents=True)
        inputs.histories[method].to_csv(root / f"models/{method}/history.csv", index=False)
        write_files(inputs.exports.get(method, []), root / f"models/{method}")
    write_manifest(inputs.manifest, root / "data/manifest.csv")
    (root / "data/images").mkdir()
    images = pd.DataFrame({"key": inputs.images.keys(), "image": inputs.images.values()})
    images.to_parquet(root / "data/images/0.parquet")
    files = {f"metrics/{method}.json": values for method, values in inputs.metrics.items()}
    files |= {"metrics/comparison.json": inputs.comparison, "metrics/data.json": inputs.data}
    files["reports/explain/index.json"] = explain(inputs.predictions, inputs.manifest)
    for name, values in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(values), encoding="utf-8")
    for name, data in inputs.maps.items():
        (root / "reports/explain" / name).parent.mkdir(exist_ok=True)
        (root / "reports/explain" / name).write_bytes(data)
    for stage, values in inputs.timing.items():
        write_timing(root, stage, values, [Path("data/manifest.csv")])
