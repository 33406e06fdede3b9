"""Values -> the page: one HTML file that needs no other, no network and no script."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from graft.evaluation.metrics import measure_split
from graft.evaluation.predictions import first_seed
from graft.report.charts.classes import confusion, images_per_class, per_class
from graft.report.charts.methods import (
    accuracy_by_images,
    accuracy_by_seconds,
    cumulative_time,
    learning_curves,
)
from graft.report.charts.scores import reliability, roc
from graft.report.charts.svg import Chart
from graft.report.costs import Cost, describe_cost, describe_crossings, measure_costs, notes_on_cache
from graft.report.inputs import Inputs
from graft.report.provenance import Provenance
from graft.report.tables import Cell, Table, compare_methods, count_images, measure_classes, measure_methods
from graft.report.thumbnails import make_picture
from graft.report.words import describe_mistakes, describe_noise, describe_seeds, describe_test

LISTED = 50  # rejects and duplicates
CONTENTS = {
    "comparison": "The methods compared",
    "cost": "Accuracy against cost",
    "caching": "When caching pays",
    "curves": "Learning curves",
    "classes": "Classes, thresholds and calibration",
    "mistakes": "The mistakes",
    "looks": "Where the models look",
    "data": "The data",
    "seeds": "Over the seeds",
}


def build_page(inputs: Inputs, dataset: str, bins: int, provenance: Provenance) -> str:
    """Build the report's page.

    Args:
        inputs: what the other stages wrote; methods come in the order of its comparison.
        dataset: the data set's name.
        bins: of the calibration, as in the metrics.
        provenance: of the work tree that it is built in.

    Returns:
        The HTML, the same for the same arguments.
    """
    environment = Environment(
        loader=PackageLoader("graft.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    measured = {method: _measure(inputs, method, bins) for method in inputs.predictions}
    values = (
        _head(inputs, dataset)
        | _numbers(inputs, measured)
        | _pictures(inputs)
        | _data(inputs)
        | {"provenance": provenance, "charts": _charts(inputs, bins), "percent": percent_sign}
    )
    return environment.get_template("page.html.j2").render(values)


def percent_sign(value: float) -> str:
    """A score in whole percent; what is not certain does not become 100 %."""
    return f"{min(round(100 * value), 99 if value < 1 else 100)}\N{NO-BREAK SPACE}%"


def _measure(inputs: Inputs, method: str, bins: int) -> list[dict[str, Any]]:
    """What `measure_split` gives on the test images, for each seed."""
    frame, facts = inputs.predictions[method]
    test = frame[frame["split"] == "test"]
    confidence = inputs.comparison["confidence"]
    return [measure_split(test[test["seed"] == seed], confidence, bins) for seed in facts["seeds"]]


def _head(inputs: Inputs, dataset: str) -> dict[str, Any]:
    rows = inputs.comparison["methods"]
    backbones = {row["backbone"]: row["weights"] for row in rows if row["backbone"] != "none"}
    several = any(row["n_seeds"] > 1 for row in rows)
    methods = ", ".join(row["method"] for row in rows)
    same = " on the same images and the same split" if len(rows) > 1 else ""
    return {
        "title": f"Transfer learning on {dataset}",
        "lead": f"{methods}{same}",
        "warnings": [
            _warn(name, weights) for name, weights in backbones.items() if not _pretrained(rows, name)
        ],
        "dataset": dataset,
        "n_images": len(inputs.manifest),
        "n_classes": inputs.manifest["label"].nunique(),
        "backbones": list(backbones.items()),
        "contents": {id: heading for id, heading in CONTENTS.items() if id != "seeds" or several},
    }


def _pretrained(rows: Any, backbone: str) -> bool:
    return all(row["pretrained"] for row in rows if row["backbone"] == backbone)


def _warn(backbone: str, weights: str) -> str:
    return (
        f"The backbone {backbone} has {weights} weights: this page shows that the machinery works, "
        "not what transfer is worth."
    )


def _numbers(inputs: Inputs, measured: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    comparison = inputs.comparison
    rows, pairs, level = comparison["methods"], comparison["pairs"], 1 - comparison["confidence"]
    return {
        "n_test": rows[0]["n_seen_test"],
        "comparison": compare_methods(comparison, inputs.timing),
        "notes": list(_notes(inputs)),
        "verdicts": [f"{_unbroken(describe_test(pair, level))}." for pair in pairs],
        "caching": _caching({row["method"] for row in rows}, measure_costs(inputs.timing)),
        "measured": measure_methods(measured),
        "per_class": {
            name: measure_classes(measured, quantity)
            for quantity, name in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"))
        },
        "confusions": describe_mistakes(inputs.metrics),
        "seeds": [
            *(describe_seeds(row, comparison["test_accuracy_by_seed"][row["method"]]) for row in rows),
            *(describe_noise(pair) for pair in pairs if pair["exceeds_noise"] is not None),
        ],
    }


def _caching(methods: set[str], costs: Mapping[str, Cost]) -> list[str]:
    known = {method: cost for method, cost in costs.items() if method in methods}
    lines = [describe_cost(method, cost) for method, cost in known.items()] + describe_crossings(known)
    return lines or ["No method rests on a backbone, so there is nothing to cache."]


def _unbroken(sentence: str) -> str:
    """With `p = 0.40` on one line."""
    return re.sub(" ([=<]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", sentence)


def _notes(inputs: Inputs) -> Iterator[str]:
    yield from (f"{note}." for note in notes_on_cache(inputs.timing))
    if any(row["n_seeds"] > 1 for row in inputs.comparison["methods"]):
        yield "Where a method has several seeds, its accuracy is that of the first, whose model is kept."


def _charts(inputs: Inputs, bins: int) -> dict[str, list[tuple[Chart, str]]]:
    """Group -> charts with captions; a chart that lacks its timing is left out."""
    comparison, timing, metrics = inputs.comparison, inputs.timing, inputs.metrics
    tests = {method: _first_test(*predicted) for method, predicted in inputs.predictions.items()}
    best = {row["method"]: row["best_epoch"] for row in comparison["methods"]}
    groups: dict[str, list[tuple[Chart | None, str]]] = {
        "cost": [
            (accuracy_by_images("images", comparison), "Images embedded"),
            (accuracy_by_seconds("seconds", comparison, timing), "Seconds"),
        ],
        "caching": [(cumulative_time("time", timing), "Time over the number of trainings")],
        "curves": [(learning_curves("curves", inputs.histories, best), "Training and validation by epoch")],
        "confusion": [
            (confusion(f"confusion-{n}", m, one["test"]["confusion_matrix"], one["classes"]), m)
            for n, (m, one) in enumerate(metrics.items(), 1)
        ],
        "per_class": [(per_class("classes", metrics), "Precision, recall and F1 by class")],
        "scores": [
            (roc("roc", tests), "ROC: how many are found at how many false alarms"),
            (reliability("reliability", tests, bins), "Reliability: how often a confidence is right"),
        ],
        "data": [(images_per_class("data", inputs.manifest), "Images by class and split")],
    }
    return {
        group: [(chart, caption) for chart, caption in charts if chart] for group, charts in groups.items()
    }


def _first_test(frame: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    rows = first_seed(frame, facts)
    return rows[rows["split"] == "test"]


def _pictures(inputs: Inputs) -> dict[str, Any]:
    gallery = inputs.gallery
    n, of = gallery.n_mistakes, len(inputs.manifest[inputs.manifest["split"] == "test"])
    return {
        "gallery": gallery,
        "images": {key: make_picture(data) for key, data in inputs.images.items()},
        "maps": {file: make_picture(data) for file, data in inputs.maps.items()},
        "hard": [case for case in gallery.mistakes if case.hard_for_all],
        "others": [case for case in gallery.mistakes if not case.hard_for_all],
        "mistakes": (
            f"{n:,} of {of:,} test images were classified wrong by at least one method, {gallery.n_hard:,} "
            "by all of them. The most confident wrong answers come first."
        ),
    }


def _data(inputs: Inputs) -> dict[str, Any]:
    data = inputs.data
    rejects = [(one["path"], [Cell(one["reason"])]) for one in data["rejects"][:LISTED]]
    pairs = [(one["kept"], [Cell(one["dropped"])]) for one in data["duplicate_paths"][:LISTED]]
    across = data["duplicates_across_splits"]
    return {
        "data": data,
        "counts": count_images(inputs.manifest),
        "preparation": [
            f"{data['n_read']:,} files were read.",
            f"{data['n_rejected']:,} were rejected ({data['rejected_share']:.1%}).",
            f"{data['duplicates']:,} had the bytes of another, {across:,} of them in another split.",
        ],
        "rejects": Table(["file", "reason"], rejects),
        "duplicates": Table(["kept", "dropped"], pairs),
    }
