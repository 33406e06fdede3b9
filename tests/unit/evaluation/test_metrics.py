import json
import re
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from graft.data.manifest import read_manifest, write_manifest
from graft.evaluation.confusion import FEW, PAIRS, count_confusions
from graft.evaluation.curves import OTHER, POINTS, confusion_rows, mean_roc, roc_curves, write_plots
from graft.evaluation.metrics import (
    calibration_error,
    decide,
    evaluate,
    measure_roc_auc,
    measure_split,
    predict_labels,
)
from graft.evaluation.predictions import SCORE, first_seed, read_predictions, score_matrix, write_predictions
from graft.evaluation.seeds import pick_headline, summarise_seeds
from graft.utils.files import write_json
from helpers.repository import ROOT

FACTS = {"method": "inline", "backbone": "vgg19", "weights": "random", "pretrained": False, "seeds": [0]}
SPLITS = {"test": "test", "val": "validation"}
CLASSES = ["<b>rose</b>", "sun flower", "tulip"]


def make_manifest(classes, per_class=12):
    rows = [
        (sha256(f"{n} {i}".encode()).hexdigest(), f"{label}/{i}.jpg", label)
        for n, label in enumerate(classes)
        for i in range(per_class)
    ]
    manifest = pd.DataFrame(rows, columns=["key", "path", "label"])
    manifest["split"] = ["train", "validation", "test", "test"] * (len(rows) // 4)
    return manifest


def make_case(classes=CLASSES, seed=0, signal=1.5):
    """A manifest, predictions of it that are somewhat right, and their facts."""
    manifest = make_manifest(classes)
    rows = manifest[manifest["split"] != "train"]
    logits = np.random.default_rng(seed).normal(size=(len(rows), len(classes)))
    logits[np.arange(len(rows)), rows["label"].map(classes.index)] += signal
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions = rows[["key", "split"]].assign(y_true=rows["label"], seed=0).reset_index(drop=True)
    for label, column in zip(classes, scores.T, strict=True):
        predictions[SCORE + label] = column.astype(np.float32)
    return predictions, FACTS | {"n_seen_train": int((manifest["split"] == "train").sum())}, manifest


def with_seeds(*cases):
    """Of cases on one manifest, a case of so many seeds: 0, 1, ... in this order."""
    frames = [predictions.assign(seed=seed) for seed, (predictions, _, _) in enumerate(cases)]
    facts = cases[0][1] | {"seeds": list(range(len(cases)))}
    return pd.concat(frames, ignore_index=True), facts, cases[0][2]


def run(case, confidence=0.95, bins=15):
    return evaluate(*case, confidence, bins)


def fixed_scores(case, scores):
    """The case with the same scores for every image of a true class: scores[true class]."""
    predictions, facts, manifest = case
    _, classes = score_matrix(predictions)
    table = np.array(scores)[predictions["y_true"].map(classes.index)]
    return predictions.assign(**{SCORE + c: table[:, i] for i, c in enumerate(classes)}), facts, manifest


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES, [*CLASSES, "NA", "ö,\"x'"]])
def test_values_are_those_of_scikit_learn(classes):
    classes = sorted(classes)
    case = make_case(classes)
    result = run(case)
    for split in ("validation", "test"):
        rows = case[0][case[0]["split"] == split]
        scores, truth = score_matrix(rows)[0], rows["y_true"]
        decided = np.array(classes)[scores.argmax(axis=1)]
        binary = len(classes) == 2
        exact = scores / scores.sum(axis=1, keepdims=True)
        got, report = (
            result[split],
            sklearn_metrics.classification_report(truth, decided, output_dict=True, zero_division=0.0),
        )
        assert got["accuracy"] == sklearn_metrics.accuracy_score(truth, decided)
        assert got["log_loss"] == pytest.approx(sklearn_metrics.log_loss(truth, exact))
        assert got["roc_auc"] == pytest.approx(
            sklearn_metrics.roc_auc_score(
                truth, exact[:, 1] if binary else exact, multi_class="raise" if binary else "ovr"
            )
        )
        assert (
            got["confusion_matrix"]
            == sklearn_metrics.confusion_matrix(truth, decided, labels=classes).tolist()
        )
        for row in got["per_class"]:
            expected = report[row.pop("label")]
            assert row == pytest.approx(
                {
                    "precision": expected["precision"],
                    "recall": expected["recall"],
                    "f1": expected["f1-score"],
                    "support": expected["support"],
                }
            )
    assert result["classes"] == classes


def test_the_interval_is_wilsons():
    """Hand-computed: 8 of 10 right at 95 % is 0.490 to 0.943 (Wilson 1927)."""
    case = make_case(CLASSES[:2])
    rows = case[0].head(10).assign(**{SCORE + CLASSES[0]: 1.0, SCORE + CLASSES[1]: 0.0})
    rows["y_true"] = [CLASSES[0]] * 8 + [CLASSES[1]] * 2
    got = measure_split(rows, 0.95, 15)
    low, high = got["accuracy_low"], got["accuracy_high"]
    assert (got["accuracy"], round(low, 3), round(high, 3)) == (0.8, 0.490, 0.943)
    wider = measure_split(rows, 0.99, 15)
    assert wider["accuracy_low"] < low < high < wider["accuracy_high"]


@given(seed=st.integers(0, 99), order=st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_order_of_rows_changes_no_byte(seed, order):
    predictions, facts, manifest = make_case(seed=seed)
    shuffled = list(range(len(predictions)))
    order.shuffle(shuffled)
    again = predictions.iloc[shuffled], facts, manifest.iloc[::-1]
    assert json.dumps(run(again)) == json.dumps(run((predictions, facts, manifest)))
    several = with_seeds(make_case(seed=seed), make_case(seed=seed + 1))
    mixed = several[0].sample(frac=1, random_state=seed), *several[1:]
    assert json.dumps(run(mixed)) == json.dumps(run(several))
    assert roc_curves(again[0]).equals(roc_curves(predictions))
    assert confusion_rows(again[0], CLASSES).equals(confusion_rows(predictions, CLASSES))


@given(seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_names_of_the_classes_change_no_number(seed):
    predictions, facts, manifest = make_case(seed=seed)
    names = dict(zip(CLASSES, ["z", "y", "x"], strict=True))  # reverses the class order
    columns = ["key", "split", "y_true", "seed", *(SCORE + label for label in reversed(CLASSES))]
    renamed = predictions[columns].rename(columns={SCORE + a: SCORE + b for a, b in names.items()})
    renamed["y_true"] = renamed["y_true"].map(names)
    before = run((predictions, facts, manifest))["test"]
    after = run((renamed, facts, manifest.assign(label=manifest["label"].map(names))))["test"]
    assert np.array_equal(np.array(after.pop("confusion_matrix"))[::-1, ::-1], before.pop("confusion_matrix"))
    for a, b in zip(reversed(after.pop("per_class")), before.pop("per_class"), strict=True):
        assert a == b | {"label": names[b["label"]]}
    assert after == pytest.approx(before)


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES])
def test_perfect_and_constant_predictors(classes):
    n = len(classes)
    perfect = run(fixed_scores(make_case(classes), np.eye(n)))["test"]
    assert (perfect["accuracy"], perfect["accuracy_high"], perfect["roc_auc"], perfect["ece"]) == (1, 1, 1, 0)
    assert perfect["log_loss"] == pytest.approx(0, abs=1e-12)
    constant = run(fixed_scores(make_case(classes), [[1] + [0] * (n - 1)] * n))["test"]
    assert constant["accuracy"] == pytest.approx(1 / n)
    assert constant["roc_auc"] == 0.5
    assert constant["ece"] == pytest.approx(1 - 1 / n)
    never = constant["per_class"][1]
    assert (never["precision"], never["recall"], never["f1"], never["support"]) == (0, 0, 0, 6)


def test_the_decision_rule():
    assert decide(np.array([[0.5, 0.5], [0.51, 0.49], [0.2, 0.8]])).tolist() == [1, 0, 1]
    assert decide(np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])).tolist() == [0, 1]


def test_calibration_error_by_hand():
    confidences, right = np.array([0.55, 0.6, 0.95, 1.0]), np.array([False, True, True, True])
    # bins of width 0.2: two images of accuracy 0.5 and confidence 0.575, two of 1 and 0.975
    assert calibration_error(confidences, right, 5) == pytest.approx((0.075 * 2 + 0.025 * 2) / 4)
    assert calibration_error(confidences, right, 1) == pytest.approx(abs(0.75 - 0.775))
    assert calibration_error(np.array([0.5, 0.51]), np.array([True, False]), 2) == pytest.approx(0.505)


@given(right=st.integers(1, 20), bins=st.integers(1, 30))
@settings(deadline=None)
def test_a_calibrated_predictor_has_no_calibration_error(right, bins):
    hits = np.arange(20) < right
    assert calibration_error(np.full(20, right / 20), hits, bins) == pytest.approx(0, abs=1e-12)
    assert calibration_error(np.full(20, right / 20), ~hits, bins) == pytest.approx(
        abs(1 - right / 10), abs=1e-12
    )


@given(seed=st.integers(0, 99), bins=st.integers(1, 30))
@settings(max_examples=8, deadline=None)
def test_calibration_error_lies_between_its_bounds(seed, bins):
    generator = np.random.default_rng(seed)
    confidences, right = generator.random(50), generator.random(50) < 0.5
    error = calibration_error(confidences, right, bins)
    assert calibration_error(confidences, right, 1) - 1e-12 <= error
    assert error <= np.abs(right - confidences).mean() + 1e-12


def test_seen_images_and_facts_are_carried():
    result = run(make_case())
    assert result["n_seen"] == {"train": 9, "validation": 9, "test": 18}
    assert result["facts"] == FACTS | {"n_seen_train": 9}
    assert result["confidence"] == 0.95


BROKEN = {
    "1 keys missing": lambda p, f, m: (p.iloc[1:], f, m),
    "n_seen.test=17, expected 18": lambda p, f, m: (p.drop(p.index[p["split"] == "test"][0]), f, m),
    "1 keys that are no validation or test image": lambda p, f, m: (
        pd.concat([p, p.head(1).assign(key="0")]),
        f,
        m,
    ),
    "1 repeated keys": lambda p, f, m: (pd.concat([p, p.head(1)]), f, m),
    "9 keys of another split": lambda p, f, m: (p.assign(split="test"), f, m),
    "1 keys whose y_true is another label": lambda p, f, m: (
        p.assign(y_true=[CLASSES[2], *p["y_true"][1:]]),
        f,
        m,
    ),
    "n_seen.train=8, expected 9": lambda p, f, m: (p, f | {"n_seen_train": 8}, m),
    r"classes=\['tulip', 'sun flower', '<b>rose</b>'\], expected \['<b>rose</b>', 'sun": lambda p, f, m: (
        p[["key", "split", "y_true", "seed", *(SCORE + c for c in reversed(CLASSES))]],
        f,
        m,
    ),
    "method=inline do not match the manifest: .*Run `dvc repro`": lambda p, f, m: (p.iloc[1:], f, m),
    "2 keys that are no validation or test image": lambda p, f, m: (
        p,
        f,
        m.assign(split=m["split"].where(~m["key"].isin(p["key"][:2]), "train")),
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_predictions_of_other_images_are_refused(message):
    with pytest.raises(ValueError, match=message):
        run(BROKEN[message](*make_case()))


def test_the_refusal_names_a_key():
    predictions, facts, manifest = make_case()
    with pytest.raises(ValueError, match=f"1 keys missing, e.g. key={predictions['key'][0]};"):
        run((predictions.iloc[1:], facts, manifest))


def test_the_refusal_names_the_seed():
    predictions, facts, manifest = with_seeds(make_case(seed=0), make_case(seed=1))
    lacking = predictions.drop(predictions.index[-1])
    with pytest.raises(
        ValueError, match=r"manifest: seed=1: 1 keys missing, [^;]*; seed=1: n_seen.test=17, "
    ):
        run((lacking, facts, manifest))
    with pytest.raises(ValueError, match=r"seeds=\[0, 1\], expected \[0, 1, 2\]; seed=2: 27 keys missing"):
        run((predictions, facts | {"seeds": [0, 1, 2]}, manifest))
    with pytest.raises(ValueError, match=r"manifest: seeds=\[0, 1\], expected \[0\]. Run"):
        run((predictions, facts | {"seeds": [0]}, manifest))


@given(seeds=st.lists(st.integers(0, 99), min_size=2, max_size=4))
@settings(max_examples=8, deadline=None)
def test_seeds_are_summarised_as_numpy_does(seeds):
    cases = [make_case(seed=seed) for seed in seeds]
    result = run(with_seeds(*cases))["seeds"]
    assert result["n"] == len(seeds)
    for split in ("test", "validation"):
        accuracies = []
        for predictions, _, _ in cases:
            rows = predictions[predictions["split"] == split]
            decided = np.array(CLASSES)[score_matrix(rows)[0].argmax(axis=1)]
            accuracies.append((decided == rows["y_true"]).mean())
        assert [value[f"{split}_accuracy"] for value in result["values"]] == pytest.approx(accuracies)
        assert result[f"{split}_accuracy_mean"] == pytest.approx(np.mean(accuracies))
        assert result[f"{split}_accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1))
    losses = [run(case)["test"]["log_loss"] for case in cases]
    assert [value["test_log_loss"] for value in result["values"]] == losses
    assert [value["seed"] for value in result["values"]] == list(range(len(seeds)))


@given(seeds=st.lists(st.integers(0, 99), min_size=2, max_size=4))
@settings(max_examples=8, deadline=None)
def test_the_summary_has_the_means_only_of_several_seeds(seeds):
    one, several = run(make_case(seed=seeds[0])), run(with_seeds(*(make_case(seed=seed) for seed in seeds)))
    short = {"test_acc": one["test"]["accuracy"], "val_acc": one["validation"]["accuracy"]}
    means = {f"{new}_mean": several["seeds"][f"{old}_accuracy_mean"] for new, old in SPLITS.items()}
    assert pick_headline(one) == pytest.approx(short, abs=1e-6)
    assert pick_headline(several) == pytest.approx(short | means, abs=1e-6)


@pytest.mark.parametrize("right", [(3, 4, 3), (5, 2, 3), (4, 4, 2), (8, 1, 1)])
def test_as_many_right_images_in_all_are_the_same_mean(right):
    """As floats their means differ in the last bit, which DVC shows as a change."""
    figures = {
        seed: {split: {"accuracy": n / 15, "log_loss": 1.0} for split in SPLITS.values()}
        for seed, n in enumerate(right)
    }
    short = pick_headline({**figures[0], "seeds": summarise_seeds(figures)})
    assert (short["test_mean"], short["val_mean"]) == (0.222222, 0.222222)


def test_another_seed_changes_no_figure_of_the_first():
    one, equal = run(make_case()), run(with_seeds(make_case(), make_case()))
    other = run(with_seeds(make_case(), make_case(seed=5)))
    for several in (equal, other):
        assert {key: several[key] for key in ("test", "validation", "n_seen", "classes")} == {
            key: one[key] for key in ("test", "validation", "n_seen", "classes")
        }
    assert other["seeds"]["test_accuracy_std"] > 0
    assert equal["seeds"]["test_accuracy_std"] == 0
    assert equal["seeds"]["test_accuracy_mean"] == one["test"]["accuracy"]
    assert one["seeds"]["test_accuracy_std"] is None


def test_the_first_seed_is_the_facts_not_the_least():
    predictions, facts, manifest = with_seeds(make_case(seed=0), make_case(seed=5))
    result = run((predictions, facts | {"seeds": [1, 0]}, manifest))
    assert result["test"] == run(make_case(seed=5))["test"]
    assert first_seed(predictions, {"seeds": [1, 0]})["seed"].unique().tolist() == [1]


def test_predictions_keep_their_seeds(tmp_path):
    predictions, facts, _ = with_seeds(make_case(seed=0), make_case(seed=5))
    rows = predictions.rename(columns={"y_true": "label"})
    write_predictions(tmp_path / "p.parquet", rows, *score_matrix(predictions), facts)
    read, read_facts = read_predictions(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(read, predictions)
    assert (read["seed"].dtype, read_facts) == (np.int64, facts)


@pytest.mark.parametrize(("absent", "n"), [(["tulip"], 12), (CLASSES, 0)])
def test_a_split_without_a_class_is_refused(absent, n):
    predictions, facts, manifest = make_case()
    manifest = manifest[~manifest["label"].isin(absent) | (manifest["split"] != "test")]
    predictions = predictions[predictions["key"].isin(manifest["key"])]
    message = f"received none of {absent} among {n} rows; give the split"
    with pytest.raises(ValueError, match=re.escape(message)):
        run((predictions, facts, manifest))


@pytest.mark.parametrize("scores", [[2.0, -1.0, 0.0], [0.5, 0.4, 0.0]])
def test_scores_that_are_no_probabilities_are_refused(scores):
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\] and sum to 1 in each row, received"):
        run(fixed_scores(make_case(), [scores] * 3))


@pytest.mark.parametrize("classes", [CLASSES[:2], CLASSES])
def test_curves_agree_with_the_area(classes):
    case = make_case(classes)
    rows = case[0][case[0]["split"] == "test"]
    curves, area = roc_curves(rows), run(case)["test"]["roc_auc"]
    line = mean_roc(curves)
    assert np.trapezoid(line["tpr"], line["fpr"]) == pytest.approx(area)
    assert line.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert (line.diff().iloc[1:] >= 0).all(axis=None)
    assert curves["class"].unique().tolist() == (classes[1:] if len(classes) == 2 else classes)
    assert np.isfinite(curves["threshold"]).all()
    for label, curve in curves.groupby("class"):
        positive, score = rows["y_true"] == label, rows[SCORE + str(label)].to_numpy(np.float64)
        for point in curve.itertuples():
            assert (score[positive] >= point.threshold).mean() == point.tpr
            assert (score[~positive] >= point.threshold).mean() == point.fpr


def test_written_files_hold_every_name_and_are_the_same_bytes_again(tmp_path):
    classes = sorted([*CLASSES, "NA", 'ö, "x"'])
    _, facts, manifest = case = make_case(classes)
    rows = manifest[manifest["split"] != "train"]
    for run_number in ("1", "2"):
        folder = tmp_path / run_number
        write_manifest(manifest, folder / "manifest.csv")
        write_predictions(folder / "p.parquet", rows.assign(seed=0), score_matrix(case[0])[0], classes, facts)
        predictions, read = read_predictions(folder / "p.parquet")
        result = run((predictions, read, read_manifest(folder / "manifest.csv")))
        write_json(result, folder / "inline.json")
        write_plots(predictions[predictions["split"] == "test"], classes, folder)
    names = ["inline.json", "confusion.csv", "roc.csv", "roc_per_class.csv"]
    for name in names:
        content = (tmp_path / "1" / name).read_bytes()
        assert content == (tmp_path / "2" / name).read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")
    assert json.loads((tmp_path / "1/inline.json").read_text("utf-8")) == run(case)
    confusion = pd.read_csv(tmp_path / "1/confusion.csv", keep_default_na=False)
    counts = pd.crosstab(confusion["actual"], confusion["predicted"]).reindex(
        index=classes, columns=classes, fill_value=0
    )
    assert counts.to_numpy().tolist() == run(case)["test"]["confusion_matrix"]


@pytest.mark.parametrize("n_classes", [FEW, FEW + 1])
def test_of_many_classes_the_worst_stand_in_the_metrics(n_classes):
    classes = [f"class {n:02d}" for n in range(n_classes)]
    predictions, facts, manifest = make_case(classes, signal=1.0)
    result, test = run((predictions, facts, manifest)), predictions[predictions["split"] == "test"]
    measured = measure_split(test, 0.95, 15)
    assert [row["label"] for row in measured["per_class"]] == classes
    decided = predict_labels(test)[0]
    if n_classes <= FEW:
        assert result["test"] == measured
        assert np.sum(result["test"]["confusion_matrix"]) == len(test)
        return
    f1 = {row["label"]: row["f1"] for row in measured["per_class"]}
    kept = [row["f1"] for row in result["test"]["per_class"]]
    assert kept == sorted(f1.values())[:FEW]
    assert "confusion_matrix" not in result["test"]
    for pair in result["test"]["most_confused"]:
        mistaken = (test["y_true"] == pair["true"]) & (decided == pair["predicted"])
        assert (pair["n"], pair["support"]) == (mistaken.sum(), (test["y_true"] == pair["true"]).sum())
    ns = [pair["n"] for pair in result["test"]["most_confused"]]
    assert ns == sorted(ns, reverse=True)
    assert len(ns) == min(PAIRS, len(count_confusions(test["y_true"].to_numpy(), decided)))


@given(seed=st.integers(0, 99), n_classes=st.integers(3, FEW + 5), decimals=st.integers(1, 9))
@settings(max_examples=8, deadline=None)
def test_the_area_is_scikit_learns_also_of_many_classes_and_with_ties(seed, n_classes, decimals):
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(n_classes), 4)
    scores = rng.dirichlet(np.ones(n_classes), len(truth)).round(decimals)
    areas = [sklearn_metrics.roc_auc_score(truth == n, scores[:, n]) for n in range(n_classes)]
    assert measure_roc_auc(truth, scores) == pytest.approx(np.mean(areas))


def test_plots_of_many_classes_show_some_and_a_mean_curve_few_points(tmp_path):
    classes = ["daisy", "rose", "tulip"]
    predictions, _, _ = make_case(classes, signal=0.0)
    write_plots(predictions, classes[1:], tmp_path)
    confusion = pd.read_csv(tmp_path / "confusion.csv")
    assert set(confusion["actual"]) == {*classes[1:]}
    assert set(confusion["predicted"]) == {*classes[1:], OTHER}
    assert set(pd.read_csv(tmp_path / "roc_per_class.csv")["class"]) == {*classes[1:]}
    fpr = np.linspace(0, 1, 3 * POINTS)
    line = mean_roc(pd.DataFrame({"class": "rose", "fpr": fpr, "tpr": np.sqrt(fpr)}))
    assert line["fpr"].nunique() == POINTS
    assert np.trapezoid(line["tpr"], line["fpr"]) == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, FEW])
def test_curves_of_many_images_are_small_in_git(n_classes, tmp_path):
    classes = [f"class {n:02d}" for n in range(n_classes)]
    scores = np.random.default_rng(0).dirichlet(np.ones(n_classes), 3000)
    rows = pd.DataFrame(scores, columns=[SCORE + label for label in classes])
    rows = rows.assign(
        key=[f"{n:04x}" for n in rows.index], y_true=[classes[n % n_classes] for n in rows.index]
    )
    write_plots(rows, classes, tmp_path)
    written, curves = pd.read_csv(tmp_path / "roc_per_class.csv"), roc_curves(rows)
    assert len(written) <= POINTS < len(curves)
    for label, curve in written.groupby("class"):
        whole = curves[curves["class"] == label]
        assert set(curve["threshold"]) <= set(whole["threshold"])
        assert curve.iloc[[0, -1]]["fpr"].tolist() == whole.iloc[[0, -1]]["fpr"].tolist() == [0, 1]
    assert (tmp_path / "roc_per_class.csv").stat().st_size < 100_000


def test_a_number_that_json_lacks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_json({"ece": float("nan")}, tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_no_deep_learning_framework_is_imported():
    """By what `evaluate`, `compare` and `report` import, and by the commands before they start."""
    stages = "; ".join(f"import {stage}" for stage in ("evaluate", "compare", "report"))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'stages')!r}); {stages}; import graft.cli.main;"
        "assert not {'tensorflow', 'keras', 'jax', 'torch', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
