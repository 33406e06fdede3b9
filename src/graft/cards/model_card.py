"""The card of a trained model for people: ``README.md`` in Hugging Face's format, from its results.

https://huggingface.co/docs/hub/model-cards describes the front matter.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from scipy.stats import binomtest

from graft.cards.dataset_facts import DatasetFacts, describe_dataset
from graft.config.load import read_params
from graft.config.paths import METRICS, MODELS, PREDICTIONS
from graft.evaluation.confusion import FEW, count_confusions
from graft.evaluation.predictions import first_seed, labels_of, read_predictions, score_matrix
from graft.export.records import read_exports
from graft.models.card import read_card
from graft.report.lock import params_of
from graft.report.provenance import show_value, without_folders
from graft.report.words import percent
from graft.sharing.recorded import commit_of
from graft.training.decision import decide
from graft.utils.files import read_json

FILE = "README.md"
CONFUSED = 10  # pairs of classes
UNKNOWN = "unknown"  # as Hugging Face calls the licence that nobody has chosen
WEIGHTS = {
    "bundled": "The backbone's weights come from google-coral/test_data under the Apache License 2.0; "
    "graft's `bundled/README.md` says what was changed.",
    "imagenet": "The backbone's weights are those of Keras Applications, whose page names their licence: "
    "https://keras.io/api/applications/",
    "random": "The backbone was not pre-trained.",
}
# ASCII punctuation that means something within a line of Markdown or HTML.
MARKUP = re.compile(r"([\\`*_{}\[\]()<>#!|~&$@])")


@dataclass(frozen=True)
class ModelResults:
    """All that a card tells of one method.

    Attributes:
        card: in the model's file.
        metrics: `metrics/<method>.json`.
        classes: a row a class: label, right, n, low and high of the recall, precision.
        confused: of the test images, as `graft.evaluation.confusion.count_confusions` gives it.
        params: dotted key of params.yaml -> the value of the training run; None where dvc.lock has another.
        exports: records of the files for other runtimes that passed their check.
        dataset: origin and terms of the images.
        commit: that has this model; None where none has.
    """

    card: Mapping[str, Any]
    metrics: Mapping[str, Any]
    classes: list[dict[str, Any]]
    confused: pd.DataFrame
    params: Mapping[str, Any] | None
    exports: list[dict[str, Any]]
    dataset: DatasetFacts
    commit: str | None


def read_results(root: Path, method: str) -> ModelResults:
    """Read what a repository knows of a method's model.

    Raises:
        FileNotFoundError: if the method was not trained and evaluated here.
        ValueError: if its files are of different runs.
    """
    folder, stage = MODELS / method, f"train_{method}"
    card = read_card(root / folder / "model.keras")
    predictions, facts = read_predictions(root / PREDICTIONS / f"{method}.parquet")
    metrics = read_json(root / METRICS / f"{method}.json")
    size = (root / folder / "model.keras").stat().st_size
    if facts != metrics["facts"] or facts["model_bytes"] != size or labels_of(predictions) != card["classes"]:
        raise ValueError(
            f"the model, predictions and metrics of {method} are of different runs: run `dvc repro`"
        )
    kept = first_seed(predictions, facts)
    test = kept[kept["split"] == "test"]
    predicted = _predict(test)
    params = read_params(root / "params.yaml")
    return ModelResults(
        card=card,
        metrics=metrics,
        classes=_measure_classes(test["y_true"].to_numpy(), predicted, metrics),
        confused=count_confusions(test["y_true"].to_numpy(), predicted)[:CONFUSED],
        params=params_of(root, stage, folder / "model.keras"),
        exports=[each for each in read_exports(root / folder) if each["passed"]],
        dataset=describe_dataset(card["dataset"], params["source"]),
        commit=commit_of(root, root / folder / "model.keras"),
    )


def _predict(rows: pd.DataFrame) -> np.ndarray:
    scores, classes = score_matrix(rows)
    return np.asarray(np.array(classes, dtype=object)[decide(scores)])


def _measure_classes(
    truth: np.ndarray, predicted: np.ndarray, metrics: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A row a class, the `FEW` with the lowest recall of more."""
    rows = []
    for label in metrics["classes"]:
        own, called = truth == label, predicted == label
        right, n = int((own & called).sum()), int(own.sum())
        interval = binomtest(right, n).proportion_ci(metrics["confidence"], method="wilson")
        precision = right / called.sum() if called.any() else None
        rows.append(
            {"label": label, "right": right, "n": n, "low": interval.low, "high": interval.high}
            | {"precision": precision}
        )
    return rows if len(rows) <= FEW else sorted(rows, key=lambda row: row["right"] / row["n"])[:FEW]


def build_card(results: ModelResults, licence: str = UNKNOWN) -> str:
    """Build the text of ``README.md``: the same for the same results.

    Args:
        results: of one method.
        licence: of the model, an identifier of Hugging Face's such as ``apache-2.0``.
    """
    environment = Environment(
        loader=PackageLoader("graft.cards", ""),
        autoescape=False,  # Markdown: `escape` is applied by the template
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": escape, "percent": percent}
    return environment.get_template("model_card.md.j2").render(
        vars(results)
        | {
            "front_matter": write_front_matter(results, licence),
            "licence": licence,
            "few": FEW,
            "settings": _list_settings(results),
            "weights_terms": WEIGHTS.get(
                results.card["weights"], "The backbone's weights are a file of one's own."
            ),
        }
    )


def write_front_matter(results: ModelResults, licence: str) -> str:
    """Write the YAML that stands between the two ``---``."""
    card, test = results.card, results.metrics["test"]
    name = f"{results.dataset.name} {card['method']}"
    backbone = [] if card["backbone"] == "none" else [card["backbone"]]
    values = {
        "license": licence,
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", "graft", card["method"], *backbone],
        "datasets": [_identifier(results.dataset.name)],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image classification"},
                        "dataset": {
                            "name": results.dataset.name,
                            "type": _identifier(results.dataset.name),
                            "split": "test",
                        },
                        "metrics": [
                            {"type": "accuracy", "value": test["accuracy"], "name": "Test accuracy"},
                            {"type": "roc_auc", "value": test["roc_auc"], "name": "Test ROC AUC"},
                        ],
                    }
                ],
            }
        ],
    }
    return _to_yaml(values)


def _to_yaml(values: Any) -> str:
    """YAML in which all text is quoted: a dataset may be called ``no`` or ``012``."""
    yaml, text = YAML(), StringIO()
    yaml.width = 10_000
    yaml.dump(_quote(values), text)
    return text.getvalue()


def _quote(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _quote(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_quote(value) for value in values]
    return DoubleQuotedScalarString(values) if isinstance(values, str) else values


def _identifier(name: str) -> str:
    """A name as Hugging Face's hub could have it."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "images"


def _list_settings(results: ModelResults) -> list[tuple[str, str]]:
    """Each hyper-parameter of the training run by its dotted key, with its value."""
    return [*_flatten(without_folders(results.params or {}))]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", show_value(value)


def escape(text: Any) -> str:
    """Write text so that Markdown, also in a table, shows it as it is, on one line.

    >>> print(escape("a|b"))
    a\\|b
    """
    line = "".join(each if each.isprintable() else " " for each in str(text))
    return MARKUP.sub(r"\\\1", line)
