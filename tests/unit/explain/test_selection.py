"""The choice of test images: by confidence, whatever the order of the rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.data.decoding import read_images
from graft.evaluation.predictions import SCORE
from graft.explain.selection import CLEAR_HITS, choose_examples, predict_test

CLASSES = ["cat", "dog", "owl"]
COUNTS = st.integers(0, 4)


def make_rows(decisions: list[tuple[str, str, int]], start: int = 0, **columns: Any) -> pd.DataFrame:
    """Rows of (truth, predicted, confidence in tenths, 5 to 10)."""
    rows = []
    for i, (truth, predicted, tenths) in enumerate(decisions):
        scores = {SCORE + name: (10 - tenths) / 20 for name in CLASSES} | {SCORE + predicted: tenths / 10}
        rows.append({"key": f"{start + i:064x}", "y_true": truth, "split": "test", "seed": 3} | scores)
    names = ["key", "y_true", "split", "seed", *(SCORE + name for name in CLASSES)]
    return pd.DataFrame(rows, columns=names).assign(**columns)


ROWS = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES), st.integers(5, 10)), min_size=1, max_size=30
)


def choose(rows: pd.DataFrame, n_mistakes: int, n_hesitant: int) -> list[dict[str, Any]]:
    return choose_examples({"inline": (rows, {"seeds": [3, 4]})}, n_mistakes, n_hesitant)


@given(decisions=ROWS, n_mistakes=COUNTS, n_hesitant=COUNTS)
def test_the_choice_is_the_first_of_each_order(
    decisions: list[tuple[str, str, int]], n_mistakes: int, n_hesitant: int
) -> None:
    rows = make_rows(decisions)
    found = {example["key"]: example["reasons"]["inline"] for example in choose(rows, n_mistakes, n_hesitant)}
    ranked = [(tenths, key, *pair) for key, (*pair, tenths) in zip(rows["key"], decisions, strict=True)]
    surest = sorted(ranked, key=lambda row: (-row[0], row[1]))
    mistakes = [key for _, key, truth, predicted in surest if truth != predicted][:n_mistakes]
    clear = {}
    for _, key, truth, predicted in surest:
        if truth == predicted:
            clear.setdefault(truth, key)
    others = [
        key for _, key, truth, predicted in sorted(ranked) if truth == predicted and clear[truth] != key
    ]
    expected = (
        dict.fromkeys(mistakes, "mistake")
        | dict.fromkeys(clear.values(), "clear")
        | dict.fromkeys(others[:n_hesitant], "hesitant")
    )
    assert found == expected


@given(decisions=ROWS, seed=st.integers(0, 9))
def test_neither_the_order_of_rows_nor_other_rows_matter(
    decisions: list[tuple[str, str, int]], seed: int
) -> None:
    rows = make_rows(decisions)
    others = [make_rows(decisions, 100, split="validation"), make_rows(decisions[::-1], seed=4)]
    more = pd.concat([*others, rows]).sample(frac=1, random_state=seed)
    assert choose(more, 3, 2) == choose(rows, 3, 2)


def test_the_union_over_methods_says_who_chose_an_image_and_why() -> None:
    first = make_rows([("cat", "dog", 9), ("dog", "dog", 8), ("dog", "dog", 9), ("cat", "cat", 9)])
    second = make_rows([("cat", "cat", 9), ("dog", "dog", 8), ("dog", "cat", 9), ("cat", "dog", 7)])
    predictions = {"inline": (first, {"seeds": [3]}), "scratch": (second, {"seeds": [3]})}
    reasons = [{"inline": "mistake", "scratch": "clear"}, {"scratch": "clear"}]
    reasons += [{"inline": "clear", "scratch": "mistake"}, {"inline": "clear"}]
    assert choose_examples(predictions, 1, 0) == [
        {"key": f"{i:064x}", "label": label, "reasons": reason}
        for i, (label, reason) in enumerate(zip(["cat", "dog", "dog", "cat"], reasons, strict=True))
    ]


def test_without_a_mistake_there_are_hits_only() -> None:
    rows = make_rows([("cat", "cat", 9), ("dog", "dog", 8), ("owl", "owl", 6), ("owl", "owl", 7)])
    assert [example["reasons"]["inline"] for example in choose(rows, 12, 4)] == [
        "clear",
        "clear",
        "hesitant",
        "clear",
    ]


def test_images_are_read_by_key(tmp_path: Path) -> None:
    keys = [f"{i:064x}" for i in range(6)]
    for name, part in (("0", keys[:3]), ("1", keys[3:])):
        table = pa.table({"key": part, "path": part, "image": [key.encode() for key in part]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    chosen = [keys[4], keys[0]]
    assert read_images(tmp_path, chosen) == {key: key.encode() for key in chosen}
    assert read_images(tmp_path, []) == {}
    with pytest.raises(ValueError, match=f"1 of 2 images are not in folder=.*, the first key={'f' * 64}; "):
        read_images(tmp_path, [keys[0], "f" * 64])


def test_two_classes_are_decided_as_a_sigmoid_is() -> None:
    """By `graft.evaluation.metrics.decide`: of equal scores the second class is predicted."""
    rows = pd.DataFrame({"key": ["a", "b"], "y_true": ["cat", "dog"], "split": "test", "seed": 3})
    rows = rows.assign(**{SCORE + "cat": np.float32([0.5, 0.5]), SCORE + "dog": np.float32([0.5, 0.5])})
    assert [example["reasons"]["inline"] for example in choose(rows, 1, 1)] == ["mistake", "clear"]
    assert list(predict_test(rows)["predicted"]) == ["dog", "dog"]


def test_of_many_classes_the_first_have_a_clear_hit() -> None:
    """Each method's Grad-CAM of each class would take longer than its training run."""
    n, names = CLEAR_HITS + 5, [f"{i:03d}" for i in range(CLEAR_HITS + 5)]
    scores = pd.DataFrame(np.eye(n), columns=[SCORE + name for name in names])
    rows = scores.assign(y_true=names, split="test", seed=3, key=[f"{i:064x}" for i in range(n)])
    assert [example["label"] for example in choose(rows, 3, 0)] == names[:CLEAR_HITS]
