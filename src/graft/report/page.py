"""Values -> the page: one HTML file that needs no other, no network and no script."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from graft.config.evaluation import Metrics
from graft.config.features import Augmentation, BackboneRow
from graft.config.load import CHOSEN_ROW
from graft.config.paths import PAGE
from graft.config.types import SPLITS, Natural, Text
from graft.data.augmentation import effective
from graft.data.images import load
from graft.evaluation.confusion import PAIRS
from graft.evaluation.predictions import first_seed
from graft.methods.registry import METHODS
from graft.report import (
    backbones,
    costs,
    curation,
    gains,
    mapping,
    monitoring,
    settings,
    tables,
    tuning,
    words,
)
from graft.report.charts import backbones as backbone_charts
from graft.report.charts import classes as class_charts
from graft.report.charts import methods, scores
from graft.report.charts import tuning as tuning_charts
from graft.report.charts.embedding import embedding
from graft.report.charts.svg import Chart
from graft.report.classes import Classes, describe_classes, write_rest
from graft.report.files import compare_to_teachers, list_files
from graft.report.inputs import Inputs, read_inputs
from graft.report.provenance import Provenance, describe_commit, describe_machine, name_dataset
from graft.report.templates import render
from graft.report.thumbnails import LONGEST, Thumbnail, draw_thumbnail, make_thumbnail
from graft.report.verdict import judge
from graft.report.views import SHOWN, choose_originals, draw_views
from graft.utils.files import write_text

PARAMS = {
    "dataset": Text,
    "source": Text,
    "split.strategy": Text,
    "backbone": Text,
    CHOSEN_ROW: BackboneRow,
    "features.views": Natural,
    "augmentation": Augmentation,
    "metrics": Metrics,
    **dict.fromkeys(METHODS, dict[str, Any]),
}
CONTENTS = {
    "run": "This run",
    "comparison": "The methods compared",
    "cost": "Accuracy against cost",
    "caching": "When caching pays",
    "curves": "Learning curves",
    "classes": "Classes, thresholds and calibration",
    "mistakes": "The mistakes",
    "looks": "Where the models look",
    "data": "The data",
    "map": "The images mapped",
    "curation": "Doubtful labels and near-duplicates",
    "files": "Files you can take away",
    "seeds": "Over the seeds",
    "backbones": "Other backbones",
    "tuning": "Hyper-parameters tried",
    "monitoring": "In use",
}


def write_page(root: Path, params: SimpleNamespace) -> Path:
    """Draw the page of a repository, write it to `PAGE` there and return the file's path.

    Of more than `graft.evaluation.confusion.FEW` classes, ``classes.csv`` and ``confusions.csv`` beside it
    hold all. Where there is a map, `MAP_PAGE` is drawn, too.

    Args:
        root: the repository's.
        params: its values of `PARAMS`, as `graft.config.load.load_params` reads them.

    Raises:
        FileNotFoundError: if a file that the page is made of is missing.
        ValueError: if these files do not belong together.
    """
    machine, versions = describe_machine()
    provenance = describe_commit(root)._replace(machine=machine, versions=versions)
    inputs = read_inputs(root)
    classes = describe_classes(
        inputs.predictions, inputs.manifest, inputs.comparison["confidence"], params.metrics.calibration_bins
    )
    file = root / PAGE
    write_text(build_page(inputs, classes, params, provenance), file)
    write_rest(classes, file.parent)
    mapping.write_map_page(inputs.mapped, root)
    return file


def build_page(inputs: Inputs, classes: Classes, params: SimpleNamespace, provenance: Provenance) -> str:
    """Build the report's page.

    Args:
        inputs: what the other stages wrote; methods come in the order of its comparison.
        classes: what its predictions say of the classes.
        params: the values of `PARAMS`.
        provenance: of the work tree that it is built in.

    Returns:
        The HTML, the same for the same arguments.
    """
    values = vars(inputs) | _describe(inputs, classes, params) | _draw(inputs, classes, params)
    values["charts"]["backbones"] = backbone_charts.accuracy_by_costs("backbones", values["backbones"])
    values |= {"params": params, "classes": classes, "provenance": provenance, "percent": percent_sign}
    modules = {
        "choices": backbones,
        "costs": costs,
        "curating": curation,
        "drifts": monitoring,
        "gains": gains,
        "mapping": mapping,
        "settings": settings,
        "studies": tuning,
        "tables": tables,
        "words": words,
    }
    return render("page.html.j2", values | modules)


def _describe(inputs: Inputs, classes: Classes, params: SimpleNamespace) -> dict[str, Any]:
    """The names by which the template knows what is told in words and tables."""
    rows = inputs.comparison["methods"]
    compared, several = {row["method"] for row in rows}, any(row["n_seeds"] > 1 for row in rows)
    others = backbones.compare_backbones(inputs.backbones, params.linear, params.metrics.confidence)
    sections = {
        "seeds": several,
        "monitoring": bool(inputs.monitoring),
        "map": inputs.mapped is not None,
        "backbones": bool(others),
        "tuning": bool(inputs.tuning),
        "curation": bool(inputs.curation),
    }
    log_losses = {method: one["validation"]["log_loss"] for method, one in inputs.metrics.items()}
    facts = {method: facts for method, (_, facts) in inputs.predictions.items()}
    return {
        "backbones": others,
        "data": {"notice": None} | dict(inputs.data),
        "dataset": name_dataset(params.dataset, params.source),
        "contents": {id: heading for id, heading in CONTENTS.items() if sections.get(id, True)},
        "verdict": judge(inputs.comparison, log_losses, inputs.timing),
        "split_sizes": {split: int((inputs.manifest["split"] == split).sum()) for split in SPLITS},
        "blocks": {method: getattr(params, method) for method in METHODS},
        "trained": {m: settings.describe_training(facts[m], inputs.histories[m]) for m in facts},
        "spent": {m: cost for m, cost in costs.measure_costs(inputs.timing).items() if m in compared},
        "files": list_files(rows, inputs.exports),
        "beside_teachers": compare_to_teachers(facts, inputs.exports),
        "confused_pairs": tables.count_pairs(classes.confused, PAIRS),
    }


def _draw(inputs: Inputs, classes: Classes, params: SimpleNamespace) -> dict[str, Any]:
    """The names by which the template knows what is drawn."""
    return {
        "legend": [(METHODS[m].label, methods.sign(f"sign-{n}", m)) for n, m in enumerate(inputs.metrics, 1)],
        "charts": _charts(inputs, classes, params.metrics.calibration_bins),
        "strip": _draw_strip(inputs, params) if effective(params.augmentation) else [],
        "images": {key: make_thumbnail(image) for key, image in inputs.images.items()},
        "maps": {file: make_thumbnail(image) for file, image in inputs.maps.items()},
    }


def percent_sign(value: float) -> str:
    """A score in whole percent; what is not certain does not become 100 %.

    Examples:
        >>> percent_sign(0.9999).replace(chr(0xA0), " ")
        '99 %'
    """
    return f"{min(round(100 * value), 99 if value < 1 else 100)}\N{NO-BREAK SPACE}%"


def _draw_strip(inputs: Inputs, params: SimpleNamespace) -> list[tuple[str, Thumbnail, list[Thumbnail]]]:
    """Label and plain image of some training images, resized for the backbone, each with its first views."""
    size, labels = min(params.row.image_size, LONGEST), inputs.manifest.set_index("key")["label"]
    strip = []
    for key in choose_originals(inputs.manifest):
        plain = load(inputs.images[key], size)
        views = draw_views(plain, key, range(1, SHOWN + 1), params.augmentation)
        strip.append((labels[key], draw_thumbnail(plain), [draw_thumbnail(view) for view in views]))
    return strip


def _charts(inputs: Inputs, classes: Classes, bins: int) -> dict[str, Sequence[tuple[Chart, str]]]:
    """Group -> charts with captions; a chart that lacks its timing is left out."""
    comparison, timing = inputs.comparison, inputs.timing
    kept = {method: first_seed(*predicted) for method, predicted in inputs.predictions.items()}
    tests = {method: rows[rows["split"] == "test"] for method, rows in kept.items()}
    best = {row["method"]: row["best_epoch"] for row in comparison["methods"]}
    curves = methods.learning_curves("curves", inputs.histories, best)
    groups: dict[str, Iterable[tuple[Chart | None, str]]] = {
        "cost": [
            (methods.accuracy_by_images("images", comparison), "Images embedded"),
            (methods.accuracy_by_seconds("seconds", comparison, timing), "Seconds"),
        ],
        "caching": [(methods.cumulative_time("time", timing), "Time over the number of training runs")],
        "curves": _label(curves),
        "confusion": _label(_draw_confusions(inputs.metrics)) if not classes.many else [],
        "per_class": [
            (class_charts.per_class(f"classes-{q}", q, classes.shown), "F1" if q == "f1" else q.capitalize())
            for q in ("precision", "recall", "f1")
        ],
        "roc": _label(scores.roc("roc", tests)),
        "reliability": _label(scores.reliability("reliability", tests, bins)),
        "map": [(embedding("map", inputs.mapped), "The images by their features")] if inputs.mapped else [],
        "data": [
            (
                class_charts.images_per_class("data", classes.counts.loc[classes.smallest]),
                "Images by class and split",
            )
        ],
    }
    for n, (method, study) in enumerate(inputs.tuning.items(), 1):
        groups[f"tuning-{method}"] = tuning_charts.draw_study(f"study-{n}", study)
    return {
        group: [(chart, caption) for chart, caption in charts if chart] for group, charts in groups.items()
    }


def _draw_confusions(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Chart]:
    return {
        m: class_charts.confusion(f"confusion-{n}", m, one["test"]["confusion_matrix"], one["classes"])
        for n, (m, one) in enumerate(metrics.items(), 1)
    }


def _label(charts: Mapping[str, Chart]) -> list[tuple[Chart | None, str]]:
    return [(chart, METHODS[method].label) for method, chart in charts.items()]
