"""What views and a temperature change, on the page and in the terminal; nothing where there are none."""

from dataclasses import replace

import pytest
from rich.console import Console

from graft.evaluation.calibration import describe_calibration
from graft.evaluation.predictions import first_seed
from graft.evaluation.views import compare_views
from graft.report.current import Current
from graft.report.gains import tabulate_calibration, tabulate_views
from graft.report.terminal import print_table
from helpers.comparison import TIMING
from helpers.pages import FLOWERS, Parsed, build, make_inputs


@pytest.fixture(scope="module")
def inputs():
    """Views that make the first method right wherever it was wrong, and a temperature of 2 for it."""
    plain = make_inputs(FLOWERS, methods=("linear", "scratch"), n_test=40)
    (first, facts), (other, _) = plain.predictions.values()
    sure = first_seed(first, facts).copy()
    for label in FLOWERS:
        sure[f"y_score.{label}"] = (sure["y_true"] == label).astype(float)
    views = {"linear": (sure, {"tta": 4}), "scratch": (other, {"tta": 4})}
    scaled = describe_calibration(first_seed(first, facts), {"temperatures": [2.0]}, 0.95, 15)
    return replace(
        plain,
        comparison=plain.comparison | {"tta": compare_views(plain.predictions, views, 0.95)},
        metrics=plain.metrics | {"linear": plain.metrics["linear"] | scaled},
        timing=TIMING | {"tta": {"seconds": 12.5}},
    )


def printed(comparison, timing):
    console = Console(width=80)
    with console.capture() as capture:
        print_table(Current(comparison, [], "photos", None), timing, console)
    return capture.get()


def test_page_and_terminal_say_what_views_gain_and_cost(inputs):
    page = " ".join(" ".join(Parsed(build(inputs)).text).split())
    text = printed(inputs.comparison, inputs.timing)
    assert max(map(len, text.splitlines())) <= 80
    wrong = inputs.comparison["tta"]["methods"][0]["n_first_only"]
    assert wrong > 5
    for shown in (page.replace("\xa0", " "), " ".join(text.split())):
        assert "a prediction runs 5 images through the model in place of 1; 12.5 s for all methods" in shown
        assert f"linear with 4 views is better than linear on {wrong} images and worse on 0: a sig" in shown
        assert "scratch with 4 views and scratch are right on the same images: no significant" in shown
    gain, same = (row for _, row in tabulate_views(inputs.comparison["tta"]).rows)
    assert [cell.best for cell in gain] == [False, False, False, True, False, False, True]
    assert not any(cell.best for cell in same)


def test_the_page_has_both_sides_of_a_temperature(inputs):
    assert "The scores are calibrated" in build(inputs)
    table = tabulate_calibration(inputs.metrics)
    assert table.names == ["linear"]
    cells = [cell.text for cell in table.rows[0][1]]
    after, before = inputs.metrics["linear"], inputs.metrics["linear"]["calibration"]
    assert cells[0] == "2.00"
    assert cells[1:3] == [f"{one['validation']['log_loss']:.3f}" for one in (before, after)]
    assert cells[7:] == [f"{100 * one['test']['ece']:.1f}" for one in (before, after)]


def test_without_either_nothing_is_said_of_them():
    plain = make_inputs(FLOWERS, methods=("linear", "scratch"))
    page = build(plain)
    assert "Test-time augmentation" not in page
    assert "The scores are calibrated" not in page
    assert "views of it" not in printed(plain.comparison, plain.timing)
    assert tabulate_calibration(plain.metrics) is None
