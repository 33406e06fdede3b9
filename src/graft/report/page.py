"""Values -> the page: one HTML file that needs no other, no network and no script."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from graft.config.evaluation import Metrics
from graft.config.paths import PAGE
from graft.config.types import Text
from graft.evaluation.metrics import measure_split
from graft.evaluation.predictions import first_seed
from graft.methods.registry import METHODS
from graft.report import costs, tables, words
from graft.report.charts import classes, methods, scores
from graft.report.charts.svg import Chart
from graft.report.inputs import Inputs, read_inputs
from graft.report.provenance import Provenance, describe_commit, name_dataset
from graft.report.thumbnails import make_thumbnail

PARAMS = {"dataset": Text, "source": Text, "metrics": Metrics}
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


def write_page(root: Path, params: Any) -> Path:
    """Draw the page of a repository, write it to `PAGE` there and return the file's path.

    Args:
        root: the repository's.
        params: its values of `PARAMS`, as `graft.config.load.load_params` reads them.

    Raises:
        FileNotFoundError: if a file that the page is made of is missing.
        ValueError: if these files do not belong together.
    """
    dataset = name_dataset(params.dataset, params.source)
    page = build_page(read_inputs(root), dataset, params.metrics.calibration_bins, describe_commit(root))
    file = root / PAGE
    file.parent.mkdir(exist_ok=True)
    file.write_text(page, encoding="utf-8", newline="\n")
    return file


def build_page(inputs: Inputs, dataset: str, bins: int, provenance: Provenance) -> str:
    """Build the report's page.

    Args:
        inputs: what the other stages wrote; methods come in the order of its comparison.
        dataset: its name.
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
    rows = inputs.comparison["methods"]
    compared, several = {row["method"] for row in rows}, any(row["n_seeds"] > 1 for row in rows)
    values = vars(inputs) | {
        "dataset": dataset,
        "provenance": provenance,
        "percent": percent_sign,
        "costs": costs,
        "tables": tables,
        "words": words,
        "contents": {id: heading for id, heading in CONTENTS.items() if id != "seeds" or several},
        "spent": {m: cost for m, cost in costs.measure_costs(inputs.timing).items() if m in compared},
        "measured": {method: _measure_seeds(inputs, method, bins) for method in inputs.predictions},
        "charts": _charts(inputs, bins),
        "images": {key: make_thumbnail(image) for key, image in inputs.images.items()},
        "maps": {file: make_thumbnail(image) for file, image in inputs.maps.items()},
    }
    return environment.get_template("page.html.j2").render(values)


def percent_sign(value: float) -> str:
    """A score in whole percent; what is not certain does not become 100 %.

    Examples:
        >>> percent_sign(0.9999).replace(chr(0xA0), " ")
        '99 %'
    """
    return f"{min(round(100 * value), 99 if value < 1 else 100)}\N{NO-BREAK SPACE}%"


def _measure_seeds(inputs: Inputs, method: str, bins: int) -> list[Mapping[str, Any]]:
    """`measure_split` of the test images, for each seed; that of the first stands in the metrics."""
    frame, facts = inputs.predictions[method]
    test, confidence = frame[frame["split"] == "test"], inputs.comparison["confidence"]
    others = [measure_split(test[test["seed"] == seed], confidence, bins) for seed in facts["seeds"][1:]]
    return [inputs.metrics[method]["test"], *others]


def _charts(inputs: Inputs, bins: int) -> dict[str, Sequence[tuple[Chart, str]]]:
    """Group -> charts with captions; a chart that lacks its timing is left out."""
    comparison, timing, metrics = inputs.comparison, inputs.timing, inputs.metrics
    kept = {method: first_seed(*predicted) for method, predicted in inputs.predictions.items()}
    tests = {method: rows[rows["split"] == "test"] for method, rows in kept.items()}
    best = {row["method"]: row["best_epoch"] for row in comparison["methods"]}
    trained = {method: history for method, history in inputs.histories.items() if "epoch" in history}
    groups: dict[str, list[tuple[Chart | None, str]]] = {
        "cost": [
            (methods.accuracy_by_images("images", comparison), "Images embedded"),
            (methods.accuracy_by_seconds("seconds", comparison, timing), "Seconds"),
        ],
        "caching": [(methods.cumulative_time("time", timing), "Time over the number of training runs")],
        "curves": [(methods.learning_curves("curves", trained, best), "Training and validation by epoch")],
        "confusion": [
            (
                classes.confusion(f"confusion-{n}", m, one["test"]["confusion_matrix"], one["classes"]),
                METHODS[m].label,
            )
            for n, (m, one) in enumerate(metrics.items(), 1)
        ],
        "per_class": [(classes.per_class("classes", metrics), "Precision, recall and F1 by class")],
        "scores": [
            (scores.roc("roc", tests), "ROC: how many are found at how many false alarms"),
            (scores.reliability("reliability", tests, bins), "Reliability: how often a confidence is right"),
        ],
        "data": [(classes.images_per_class("data", inputs.manifest), "Images by class and split")],
    }
    return {
        group: [(chart, caption) for chart, caption in charts if chart] for group, charts in groups.items()
    }
