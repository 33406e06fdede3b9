"""Imbalanced classes: what is measured then, and that nothing is added where they are not."""

from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, recall_score

from graft.evaluation.confusion import FEW
from graft.evaluation.imbalance import IMBALANCED, is_imbalanced
from graft.evaluation.metrics import evaluate, predict_labels
from graft.evaluation.predictions import SCORE, first_seed
from graft.evaluation.rows import RECALL, describe_method
from graft.report.tables import compare_methods
from graft.report.words import describe_balance
from helpers.comparison import make_comparison, make_facts


def make_case(counts: list[int], seed: int = 0) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Predictions, facts and manifest: of each class so many images in every split."""
    names = [f"class{n:02}" for n in range(len(counts))]
    rows = [
        (name, split) for name, n in zip(names, counts, strict=True) for split in SPLITS for _ in range(n)
    ]
    manifest = pd.DataFrame(rows, columns=["label", "split"])
    manifest["key"] = [sha256(str(n).encode()).hexdigest() for n in range(len(rows))]
    seen = manifest[manifest["split"] != "train"].reset_index(drop=True)
    scores = np.random.default_rng(seed).dirichlet(np.ones(len(names)), len(seen)).astype(np.float32)
    predictions = seen[["key", "split"]].assign(y_true=seen["label"], seed=0)
    predictions = predictions.assign(**{SCORE + name: scores[:, i] for i, name in enumerate(names)})
    return predictions, make_facts("linear", n_seen_train=sum(counts)), manifest


SPLITS = ("train", "validation", "test")
COUNTS = st.lists(st.integers(1, 30), min_size=2, max_size=5)


@given(COUNTS)
def test_it_is_a_matter_of_the_largest_and_the_smallest_class(counts: list[int]) -> None:
    assert is_imbalanced(make_case(counts)[2]) == (max(counts) / min(counts) > IMBALANCED)


@settings(max_examples=25)
@given(COUNTS, st.integers(0, 99))
def test_balanced_accuracy_and_recalls_are_those_of_scikit_learn(counts: list[int], seed: int) -> None:
    predictions, facts, manifest = make_case([*counts, 91], seed)
    metrics = evaluate(predictions, facts, manifest, 0.95, 15)
    row = describe_method("linear", facts, metrics)
    test = first_seed(predictions, facts)[lambda rows: rows["split"] == "test"]
    truth, predicted = test["y_true"], predict_labels(test)[0].astype(str)
    assert row["test_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert row["test_balanced_accuracy"] == metrics["test"]["balanced_accuracy"]
    labels = metrics["classes"]
    recalls = recall_score(truth, predicted, labels=labels, average=None, zero_division=0)
    assert {name: row[RECALL + name] for name in labels} == pytest.approx(
        dict(zip(labels, recalls, strict=True))
    )
    supports = [(truth == name.removeprefix(RECALL)).sum() for name in row if name.startswith(RECALL)]
    assert supports == sorted(supports)


def test_where_classes_are_alike_nothing_is_added() -> None:
    predictions, facts, manifest = make_case([4, 12])
    metrics = evaluate(predictions, facts, manifest, 0.95, 15)
    assert "balanced_accuracy" not in metrics["test"]
    assert not [
        key for key in describe_method("linear", facts, metrics) if key.startswith((RECALL, "test_bal"))
    ]
    assert describe_balance(make_comparison()["methods"]) == []


def test_of_many_classes_the_row_has_the_mean_alone() -> None:
    predictions, facts, manifest = make_case([1] * FEW + [9])
    row = describe_method("linear", facts, evaluate(predictions, facts, manifest, 0.95, 15))
    assert "test_balanced_accuracy" in row
    assert not [key for key in row if key.startswith(RECALL)]


def test_the_table_of_the_page_and_the_sentences_tell_it() -> None:
    comparison = make_comparison()
    for n, row in enumerate(comparison["methods"]):
        row |= {"test_balanced_accuracy": 0.5 + n / 100, "recall.rare": n / 10, "recall.common": 1.0}
    (column,) = [
        each for each in compare_methods(comparison, {}).columns if each.header.startswith("balanced")
    ]
    assert column.short == ""  # the terminal has no room for it
    assert [cell.best for cell in column.cells] == [*[False] * (len(comparison["methods"]) - 1), True]
    assert describe_balance(comparison["methods"])[1] == (
        "two_stage: balanced accuracy 51.0 %; recall rare 10.0, common 100.0."
    )
