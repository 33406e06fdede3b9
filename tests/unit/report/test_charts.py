import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from rich.cells import cell_len

from graft.evaluation.metrics import calibration_error, measure_split
from graft.evaluation.predictions import SCORE
from graft.methods.registry import BLUE
from graft.methods.registry import METHODS as REGISTRY
from graft.report.charts import classes as class_charts
from graft.report.charts import methods as charts
from graft.report.charts import scores as score_charts
from graft.report.charts import tuning as tuning_charts
from graft.report.charts.classes import FULL
from graft.report.charts.style import shorten
from graft.report.charts.svg import GRID, drawing, to_svg
from graft.report.tables import count_by_split
from helpers.comparison import FOUR, make_timing
from helpers.pages import make_study

SVG = "{http://www.w3.org/2000/svg}"
HARD = ["<b>x", "$x$", "_", "&amp;", "#000000", 'id="a" url(#b)', "ひまわり", "البابونج", "a\tb", "🌻"]
LONG = [f"class number {i:02} with a name as long as some people give them" for i in range(20)]
METHODS = tuple(REGISTRY)
SECONDS = {"two_stage": (0.1, 2.8), "two_stage_views": (0.2, 2.9), "inline": (4.6, 10.9)}
TIMING = make_timing(SECONDS, (5.0, 9.5))
HISTORY = pd.DataFrame(
    {"epoch": [1, 2, 3], "accuracy": [0.5, 0.7, 0.8], "loss": [np.inf, 0.9, 0.7]}
    | {"val_accuracy": [0.6, 0.75, 0.7], "val_loss": [np.nan, 0.6, 0.8]}
)


def make_rows(classes, accuracy, n=4):
    """Test rows: n images a class, of which about so many are decided right, some almost surely."""
    rng = np.random.default_rng(len(classes))
    truth = np.repeat(np.arange(len(classes)), n)
    scores = rng.dirichlet(np.full(len(classes), 0.5), len(truth))
    scores[np.arange(len(truth)), truth] += 2 * (rng.random(len(truth)) < accuracy)
    frame = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=[SCORE + c for c in classes])
    facts = {"key": [f"{i:04x}" for i in range(len(truth))], "split": "test", "seed": 0}
    return frame.assign(y_true=[classes[i] for i in truth], **facts)


def make_comparison(embedded=(400, 1200, 1200, 0)):
    rows = [{"method": m, "images_embedded": n} for m, n in zip(FOUR, embedded, strict=True)]
    by_seed = dict(zip(FOUR, [[0.81, 0.79, 0.87], [0.87, 0.88], [0.78], [0.94]], strict=True))
    return {"methods": rows, "test_accuracy_by_seed": by_seed}


def make_charts(classes, methods=METHODS):
    """Every chart as a function of its name."""
    classes = sorted(classes)
    rows = {m: make_rows(classes, 0.6 + 0.1 * i) for i, m in enumerate(methods)}
    metrics = {m: {"test": measure_split(r, 0.95, 10), "classes": classes} for m, r in rows.items()}
    counts = metrics[methods[0]]["test"]["confusion_matrix"]
    tables = {m: pd.DataFrame(measured["test"]["per_class"]) for m, measured in metrics.items()}
    splits = ["train"] * 2 + ["validation", "test"]
    manifest = pd.DataFrame({"label": np.repeat(classes, 4), "split": splits * len(classes)})
    best, last = dict.fromkeys(methods, 2), methods[-1]
    return {
        "images": lambda name: charts.accuracy_by_images(name, make_comparison()),
        "seconds": lambda name: charts.accuracy_by_seconds(name, make_comparison(), TIMING),
        "time": lambda name: charts.cumulative_time(name, TIMING),
        "trials": lambda name: tuning_charts.parallel_coordinates(name, make_study()),
        "importance": lambda name: tuning_charts.importance(name, make_study()["importance"]),
        "curves": lambda name: charts.learning_curves(name, dict.fromkeys(methods, HISTORY), best)[last],
        "confusion": lambda name: class_charts.confusion(name, methods[0], counts, classes),
        "per_class": lambda name: class_charts.per_class(name, "f1", tables),
        "counts": lambda name: class_charts.images_per_class(name, count_by_split(manifest)),
        "roc": lambda name: score_charts.roc(name, rows)[last],
        "reliability": lambda name: score_charts.reliability(name, rows, 10)[last],
    }


NAMES = {
    "usual": (["daisy", "rose", "tulip"], METHODS),
    "hard": (HARD, METHODS),
    "many": (HARD + LONG, METHODS),
    "alone": (["cat", "dog"], ("inline",)),
}
KINDS = ["images", "seconds", "time", "trials", "importance"]
KINDS += ["curves", "confusion", "per_class", "counts", "roc", "reliability"]


make_case = cache(lambda case: make_charts(*NAMES[case]))


@cache
def draw(case, kind, name="chart"):
    return make_case(case)[kind](name)


def every_chart():
    """The first five are of the methods alone: once is enough."""
    return [(case, kind) for case in NAMES for kind in KINDS[0 if case == "usual" else 5 :]]


def outside_text(chart):
    return re.sub(r"(<text[^>]*>).*?</text>", r"\1", chart.svg)


def texts(chart):
    return [element.text or "" for element in ElementTree.fromstring(chart.svg).iter(f"{SVG}text")]


def font_size(text):
    return float(re.search(r"font-size: ([\d.]+)px", text.attrib["style"])[1])


def luminance(colour):
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one, other):
    """Of WCAG 2, from 1 to 21."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def blend(colour, share, page):
    parts = [share * int(colour[i : i + 2], 16) + (1 - share) * int(page[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(part):02x}" for part in parts)


@pytest.mark.parametrize("page", ["#ffffff", "#14171a"])
def test_each_methods_colour_stands_out_from_a_light_and_a_dark_page(page):
    assert min(contrast(chosen.colour, page) for chosen in REGISTRY.values()) >= 3


@pytest.mark.parametrize(("page", "text"), [("#ffffff", "#1b1f24"), ("#14171a", "#e6e8ea")])
def test_text_is_readable_on_the_fullest_cell(page, text):
    assert contrast(blend(BLUE, FULL, page), text) >= 4.5


def test_methods_differ_by_colour_marker_and_dash():
    for trait in ("colour", "marker", "dash"):
        assert len({getattr(method, trait) for method in REGISTRY.values()}) == len(METHODS)


@pytest.mark.parametrize(("case", "kind"), every_chart())
def test_a_chart_takes_its_looks_from_the_page(case, kind):
    chart = draw(case, kind)
    root = ElementTree.fromstring(chart.svg)
    assert root.attrib.keys() == {"viewBox", "class", "fill", "style"}
    assert root.attrib["fill"] == "currentColor"
    written = outside_text(chart)
    assert "var(--grid)" in written
    for stranger in ("<?xml", "<!", "<style", "metadata", "font-family", "DejaVu", GRID, "#000000", "nan"):
        assert stranger not in written
    drawn = set(re.findall(r"#[0-9a-f]{6}", written))
    assert drawn <= {chosen.colour for chosen in REGISTRY.values()}
    assert chart.alt.endswith(".")


@pytest.mark.parametrize(("case", "kind"), every_chart())
def test_ids_are_those_referred_to_and_begin_with_the_name(case, kind):
    written = outside_text(draw(case, kind))
    ids = re.findall(r' id="([^"]+)"', written)
    referred = set(re.findall(r"url\(#([^)]+)\)", written) + re.findall(r'href="#([^"]+)"', written))
    assert ids or kind == "confusion"
    assert len(ids) == len(set(ids))
    assert set(ids) == referred
    assert all(one.startswith("chart-") for one in ids)


@pytest.mark.parametrize(("case", "kind"), every_chart())
def test_text_is_large_enough_on_a_phone_and_inside(case, kind):
    """390 CSS pixels with a margin of 16: two small ones side by side; of what is wider, a part at a time."""
    root = ElementTree.fromstring(draw(case, kind).svg)
    width = float(root.attrib["viewBox"].split()[2])
    least, most = (
        float(re.search(rf"{end}-width: (\d+)px", root.attrib["style"])[1]) for end in ("min", "max")
    )
    size = root.attrib["class"]
    assert size == ("wide" if least > 358 else "usual" if width > 200 else "small")
    pixels = max(least, min(169 if size == "small" else 358, most)) / width
    for text in root.iter(f"{SVG}text"):
        size = font_size(text)
        assert size * pixels >= 7
        assert "text-anchor" in text.attrib["style"]  # so that it stays in place in another font
        if "text-anchor: end" in text.attrib["style"] and "-90" not in text.attrib["transform"]:
            assert float(text.attrib["x"]) >= 0.6 * size * cell_len(text.text or "")


@pytest.mark.parametrize("kind", KINDS)
def test_another_name_changes_the_ids_and_nothing_else(kind):
    chart, other = draw("usual", kind), draw("usual", kind, "other-1")
    assert other.alt == chart.alt
    assert re.sub(r'(["#])other-1-', r"\1chart-", other.svg) == chart.svg
    assert "chart-" not in other.svg


def digest():
    return hashlib.sha256(repr([draw("usual", kind) for kind in KINDS]).encode()).hexdigest()


@pytest.mark.long
def test_bytes_are_the_same_in_another_process_that_has_no_pyplot():
    code = "import sys, test_charts; print(test_charts.digest(), *sys.modules)"
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    printed, *modules = done.stdout.decode().split()
    assert printed == digest()
    assert not {"matplotlib.pyplot", "tensorflow"} & set(modules)


def test_the_readers_own_style_of_matplotlib_changes_nothing_and_stays():
    expected = draw("usual", "per_class")
    with matplotlib.rc_context({"font.size": 30, "xtick.major.pad": 30, "svg.fonttype": "path"}):
        assert make_case("usual")["per_class"]("chart") == expected
        assert matplotlib.rcParams["font.size"] == 30


def test_a_name_that_cannot_be_an_id_is_refused():
    for name in ("", "1st", "two stage", 'a"', "ä"):
        with pytest.raises(ValueError, match=re.escape(f"received {name=}")), drawing():
            to_svg(Figure(), name)


@pytest.mark.parametrize("kind", ["confusion", "per_class", "counts"])
def test_names_come_out_as_text(kind):
    found = texts(draw("hard", kind))
    for label in HARD:
        assert label.replace("\t", " ") in found


@pytest.mark.parametrize("kind", ["confusion", "per_class", "counts"])
def test_each_of_30_long_names_can_be_told_apart(kind):
    found = set(texts(draw("many", kind)))
    assert all(any(f"{i:02} with" in text and "…" in text for text in found) for i in range(20))


@given(st.lists(st.text(max_size=40), unique=True, max_size=6), st.integers(5, 30))
def test_a_short_name_stays_and_a_long_one_is_cut(labels, width):
    for label, short in zip(labels, shorten(labels, width), strict=True):
        assert cell_len(short) <= width
        assert (ElementTree.fromstring(f"<a>{escape(short)}</a>").text or "") == short
        if cell_len(label) <= width and label.isprintable():
            assert short == label
        elif cell_len(label) > width:
            assert "…" in short


def test_a_long_name_keeps_its_ends_unless_others_have_the_same():
    assert shorten(["Großblütige Königskerze"], 11) == ["Großb…kerze"]
    assert shorten(["flower of kind 17 in the garden", "flower of kind 23 in the garden"], 12) == [
        "…nd 17 in t…",
        "…nd 23 in t…",
    ]
    assert shorten(["ひまわりひまわり"], 9) == ["ひま…わり"]


def test_cells_have_counts_and_shares_up_to_15_classes_and_a_key_beyond():
    matrix = (np.eye(15, dtype=int) * 3 + np.eye(15, k=1, dtype=int)).tolist()
    small = texts(class_charts.confusion("a", "inline", matrix, [f"c{i:02}" for i in range(15)]))
    assert small.count("3") == 15
    assert small.count("75 %") == 14
    assert small.count("0") == 15 * 15 - 29
    large = texts(
        class_charts.confusion("a", "inline", np.eye(16, dtype=int), [f"c{i:02}" for i in range(16)])
    )
    assert sorted(text for text in large if not text.startswith("c")) == sorted(
        ["20 %", "40 %", "60 %", "80 %", "100 %", "predicted", "true"]
    )


@pytest.mark.parametrize(("n", "most"), [(2, 7), (5, 999_999), (15, 20_000)])
def test_counts_fit_their_cells(n, most):
    matrix = np.full((n, n), most).tolist()
    chart = class_charts.confusion("a", "inline", matrix, ["a class of a long name"] * n)
    cells = [
        text for text in ElementTree.fromstring(chart.svg).iter(f"{SVG}text") if text.text == f"{most:,}"
    ]
    places = sorted({float(text.attrib["x"]) for text in cells})
    size = font_size(cells[0])
    assert len(cells) == n * n
    assert 5 <= 0.6 * size * len(f"{most:,}") <= places[1] - places[0]
    assert size >= 6


def test_the_confusion_says_what_went_wrong():
    said = class_charts.confusion("a", "inline", [[9, 1], [4, 6]], ["cat", "dog"]).alt
    assert said == (
        "Confusion matrix of inline: 15 of 20 test images of 2 classes right; the most frequent mistake: "
        "4 images of dog predicted as cat."
    )
    said = class_charts.confusion("a", "inline", [[9, 0], [0, 6]], ["cat", "dog"]).alt
    assert said.endswith("2 classes right, no image was mistaken.")


def count_markers(chart):
    return len(list(ElementTree.fromstring(chart.svg).iter(f"{SVG}use")))


def test_accuracy_has_a_point_a_seed_and_one_of_each_mean():
    one_more = make_comparison()
    one_more["test_accuracy_by_seed"]["inline"] = [0.78, 0.8]
    more = charts.accuracy_by_images("a", one_more)
    assert count_markers(more) == count_markers(draw("usual", "images")) + 1
    uses = ElementTree.fromstring(draw("usual", "images").svg).iter(f"{SVG}use")
    *seeds, ring = [float(use.attrib["y"]) for use in uses if BLUE in use.attrib["style"]]
    assert len(seeds) == 3
    assert ring == pytest.approx(np.mean(seeds), abs=0.02)
    assert "two_stage 82.3 % (mean of 3 seeds, 79.0 to 87.0) with 400 images embedded" in more.alt
    assert "scratch 94.0 % with 0 images embedded" in more.alt


def test_costs_over_more_than_a_decade_are_logarithmic_and_0_is_beside_them():
    chart = charts.accuracy_by_images("a", make_comparison((400, 1200, 40_000, 0)))
    found = texts(chart)
    assert found[:4] == ["0", "100", "1,000", "10,000"]
    ticks = list(ElementTree.fromstring(chart.svg).iter(f"{SVG}text"))[:4]
    zero, *decades = [float(text.attrib["x"]) for text in ticks]
    assert decades[1] - decades[0] == pytest.approx(decades[2] - decades[1], abs=0.1)
    assert decades[0] - zero > 20
    assert "20,000" not in found
    assert "20,000" in texts(charts.accuracy_by_images("a", make_comparison((9000, 9000, 40_000, 0))))
    for same in (0, 7):
        assert str(same) in texts(charts.accuracy_by_images("a", make_comparison((same,) * 4)))


def test_what_was_not_timed_is_left_out_and_named():
    timing = {stage: seconds for stage, seconds in TIMING.items() if stage != "extract_features"}
    seconds, time = (
        charts.accuracy_by_seconds("a", make_comparison(), timing),
        charts.cumulative_time("a", timing),
    )
    assert "two_stage: 2.9 s for each training run; the extraction was not timed." in time.alt
    assert seconds.alt.endswith("Not timed, so left out: two_stage, two_stage_views.")
    assert count_markers(seconds) == 4  # of inline and scratch: a seed and the mean
    assert charts.accuracy_by_seconds("a", make_comparison(), {}) is None
    assert charts.cumulative_time("a", {}) is None


def test_the_crossings_are_marked():
    assert {"first", "2nd"} <= set(texts(draw("usual", "time")))
    assert "From the 2nd training run on, two_stage_views has taken less time than inline." in (
        draw("usual", "time").alt
    )
    slow = make_timing(SECONDS | {"inline": (0.0, 2.0)}, (5.0, 9.5))
    assert not {"first", "2nd"} & set(texts(charts.cumulative_time("a", slow)))


def test_a_lower_bound_is_called_one():
    cached = make_timing(SECONDS, (5.0, 9.5), cached=3)
    chart = charts.cumulative_time("a", cached)
    assert "two_stage: at least 5.0 s once" in chart.alt
    assert "From the 2nd training run on, or a later one, two_stage_views has taken less" in chart.alt
    chart = charts.accuracy_by_seconds("a", make_comparison(), cached)
    assert "in at least 7.9 s; two_stage_views" in chart.alt
    assert "inline 78.0 % in 15.5 s" in chart.alt


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (100, "min"), (5000, "h")])
def test_the_unit_of_time_follows_the_time(factor, unit):
    seconds = {method: (factor * one, factor * other) for method, (one, other) in SECONDS.items()}
    timing = make_timing(dict.fromkeys(METHODS, (0.0, 0.1)) | seconds, (5.0 * factor, 9.5 * factor))
    assert f"time in all, {unit}" in texts(charts.cumulative_time("a", timing))


def test_a_crossing_far_away_does_not_stretch_the_axis():
    far = make_timing(SECONDS | {"inline": (0.0, 3.2)}, (5.0, 9.5))
    chart = charts.cumulative_time("a", far)
    assert "From the 145th training run on" in chart.alt
    assert "150" not in texts(chart)


def test_learning_curves_say_what_was_chosen():
    curves = charts.learning_curves("a", {"inline": HISTORY}, {"inline": 2})
    assert curves["inline"].alt == (
        "Learning curves: inline chose epoch 2 of 3, with a validation accuracy of 75.0 % and a validation "
        "loss of 0.60."
    )
    one = charts.learning_curves("a", {"inline": HISTORY.iloc[1:2].assign(epoch=1)}, {"inline": 1})["inline"]
    assert "epoch 1 of 1" in one.alt
    assert texts(one).count("1") == 1


def test_learning_curves_have_the_same_scales_but_for_the_epochs():
    higher = HISTORY.assign(loss=HISTORY["loss"] + 5, accuracy=0.1, epoch=[10, 20, 30])
    best = {"two_stage": 2, "inline": 20}
    curves = charts.learning_curves("a", {"two_stage": HISTORY, "inline": higher}, best)
    one, other = (texts(chart) for chart in curves.values())
    assert one[: one.index("accuracy, %")] == other[: other.index("accuracy, %")]
    assert one[one.index("epoch") :] == other[other.index("epoch") :]
    assert one != other


@pytest.mark.parametrize("method", METHODS)
def test_the_sign_of_a_method_has_its_colour(method):
    sign = charts.sign("a", method)
    assert REGISTRY[method].colour in sign.svg
    assert method in sign.alt
    assert count_markers(sign) == 1


def test_a_method_without_epochs_has_no_curve():
    tried = HISTORY.rename(columns={"epoch": "C"})
    curves = charts.learning_curves("a", {"linear": tried, "inline": HISTORY}, {"linear": None, "inline": 2})
    assert curves.keys() == {"inline"}


def test_a_history_of_another_training_run_is_refused():
    message = "best epoch of inline among the 3 of its history, received best_epoch=4; .* run `dvc repro`"
    with pytest.raises(ValueError, match=message):
        charts.learning_curves("a", {"inline": HISTORY}, {"inline": 4})


SCORES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50)


@given(SCORES, st.integers(1, 20))
@settings(deadline=None)
def test_the_bins_are_those_of_the_calibration_error(images, bins):
    confidences, right = (np.array(values) for values in zip(*images, strict=True))
    found = score_charts.reliability_bins(confidences, right, bins)
    assert found["n"].sum() == len(images)
    assert found["n"].min() > 0
    gaps = found["n"] * (found["accuracy"] - found["confidence"]).abs()
    assert gaps.sum() / len(images) == pytest.approx(calibration_error(confidences, right, bins), abs=1e-9)
    assert set(found.index) <= set(range(bins))
    assert (found.index / bins <= found["confidence"] + 1e-9).all()
    assert (found["confidence"] <= (found.index + 1) / bins + 1e-9).all()


def test_the_panels_name_auc_and_calibration_error():
    rows = make_rows(["daisy", "rose", "tulip"], 0.6)
    measured = measure_split(rows, 0.95, 10)
    roc = score_charts.roc("a", {METHODS[0]: rows})[METHODS[0]]
    reliability = score_charts.reliability("a", {METHODS[0]: rows}, 10)[METHODS[0]]
    assert f"AUC {measured['roc_auc']:.3f}" in texts(roc)
    assert f"ECE {100 * measured['ece']:.1f} %" in texts(reliability)
    assert "against the rest" in draw("usual", "roc").alt
    assert "ROC curves of inline of dog, on test" in draw("alone", "roc").alt


def test_images_are_counted_by_split():
    assert "2 + 1 + 1" in texts(draw("usual", "counts"))
    assert draw("usual", "counts").alt == (
        "Images of each class and split: 3 classes, 4 of each; 6 in train, 3 in validation, 3 in test."
    )
