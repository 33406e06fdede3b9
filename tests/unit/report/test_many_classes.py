"""A thousand classes: what Git and the page hold stays small, and what is left out stands in CSVs."""

import pandas as pd
import pytest

from graft.evaluation.confusion import FEW, PAIRS
from graft.evaluation.curves import write_plots
from graft.evaluation.predictions import first_seed
from graft.report.classes import describe_classes, write_rest
from graft.utils.files import write_json
from helpers.pages import FLOWERS, Parsed, build, make_image, make_inputs

GIT = 300_000  # bytes of a file
TWO = "linear", "scratch"  # each costs as much time and room as the next
NONE = {"methods": [], "images": []}


def make_many(n_classes, methods, n_test=4):
    names = [f"a species of flower, number {n:04d}" for n in range(n_classes)]
    large = {"draw": lambda n: make_image(n, (200, 260)), "explained": NONE}
    return make_inputs(names, methods, n_test, 0.4, **large)


@pytest.fixture(scope="module")
def few_more():
    return make_many(FEW + 5, ["linear", "scratch"])


@pytest.fixture(scope="module")
def thousand():
    return make_many(1000, TWO)


def describe(inputs):
    return describe_classes(inputs.predictions, inputs.manifest, 0.95, 15)


def test_the_page_shows_the_worst_classes_and_says_where_all_are(few_more):
    classes, page = describe(few_more), build(few_more)
    assert len(classes.worst) == len(classes.smallest) == FEW
    f1 = pd.concat([frame.set_index("label")["f1"] for frame in classes.per_class.values()], axis=1).mean(
        axis=1
    )
    assert f1[classes.worst].tolist() == sorted(f1)[:FEW]
    words = Parsed(page).words
    assert f"The {FEW} of {FEW + 5} classes with the lowest mean F1" in words
    assert "classes.csv beside this page" in words
    assert "confusions.csv beside this page" in words
    assert "Confusion matri" not in words
    assert not describe(make_many(FEW, ["inline"])).many


def test_beside_it_are_all_classes_and_all_pairs(few_more, tmp_path):
    classes = describe(few_more)
    write_rest(classes, tmp_path)
    rows = pd.read_csv(tmp_path / "classes.csv").set_index("class")
    assert list(rows.index) == sorted(few_more.manifest["label"].unique())
    assert rows.loc[:, ["train", "validation", "test"]].sum().sum() == len(few_more.manifest)
    for method, metrics in few_more.metrics.items():
        for row in metrics["test"]["per_class"]:
            assert rows.loc[row["label"], f"{method} f1"] == pytest.approx(row["f1"])
    pairs = pd.read_csv(tmp_path / "confusions.csv")
    for method, metrics in few_more.metrics.items():
        n_wrong = round((1 - metrics["test"]["accuracy"]) * metrics["n_seen"]["test"])
        assert pairs.loc[pairs["method"] == method, "n"].sum() == n_wrong
    write_rest(describe(make_inputs(FLOWERS, ["inline"])), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_thousand_classes_stay_small_in_git(thousand, tmp_path):
    for method, metrics in thousand.metrics.items():
        write_json(metrics, tmp_path / f"{method}.json")
        kept = first_seed(*thousand.predictions[method])
        shown = [row["label"] for row in metrics["test"]["per_class"]]
        write_plots(kept[kept["split"] == "test"], shown, tmp_path / method)
        assert len(metrics["test"]["most_confused"]) == PAIRS
    sizes = {file: file.stat().st_size for file in tmp_path.rglob("*.*")}
    assert len(sizes) == 4 * len(TWO)
    assert {file: size for file, size in sizes.items() if size > GIT} == {}


@pytest.mark.long
def test_a_page_of_a_thousand_classes_is_small(thousand):
    assert len(build(thousand).encode()) < len(TWO) * 1_000_000
