"""The report's page: what stands in it, whatever the data set; the stage; how it is opened."""

import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from graft.cli import app
from graft.compare import METHODS, compare
from graft.manifest import write_manifest
from graft.metrics import evaluate
from graft.predictions import SCORE, write_predictions
from graft.report.gallery import HESITANT, MISTAKES, SAMPLES, choose_gallery
from graft.report.inputs import Inputs
from graft.report.page import CONTENTS, build_page, percent_sign
from graft.report.pictures import LONGEST, make_picture
from graft.report.provenance import NO_COMMIT, Provenance, describe_commit
from graft.report.tables import compare_methods
from repository import ROOT
from test_compare import TIMING, make_facts
from test_provenance import commit, work  # noqa: F401  (a fixture)

FLOWERS = ["daisy", "rose", "tulip"]
LONG = ("a_very_long_class_name_" * 3)[:60]
NAMES = ["<b>x", '"quoted"', "it's & <script>alert(1)</script>", LONG, "写真", "ورد", "$x^2$ {{ 7 * 7 }}"]
MANY = sorted(NAMES + [f"class {n:02d}" for n in range(40 - len(NAMES))])
COMMIT = Provenance("0123456789ab", "2026-11-23T12:00:00+00:00", "git switch --detach 0 && make repro", ())
VOID, INLINE = {"meta", "img", "br", "wbr"}, {"wbr", "bdi", "b", "span", "text"}


def encode(pixels, kind="JPEG"):
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def photo(seed, size=(48, 64), channels=3):
    """A picture like a photo: smooth areas and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, channels), dtype=np.uint8).squeeze()
    smooth = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-25, 26, smooth.shape), 0, 255).astype(np.uint8)


def make_manifest(classes, n_test):
    """Three train images and one of validation of each class, and so many of test; keys as of real images."""
    splits = ["train"] * 3 + ["validation"] + ["test"] * n_test
    rows = [(label, split, f"{label}/{n}.jpg") for label in classes for n, split in enumerate(splits)]
    frame = pd.DataFrame(rows, columns=["label", "split", "path"])
    return frame.assign(key=[sha256(path.encode()).hexdigest() for path in frame["path"]])


def predict(manifest, classes, rng, share_wrong, seeds):
    """Scores of the validation and test images; so many of the latter wrong."""
    rows = manifest[manifest["split"] != "train"]
    scores = np.empty((len(seeds), len(rows), len(classes)))
    for n in range(len(seeds)):
        decided = rows["label"].map(classes.index).to_numpy()
        wrong = (rng.random(len(rows)) < share_wrong) & (rows["split"] == "test").to_numpy()
        decided = np.where(wrong, (decided + 1) % len(classes), decided)
        scores[n] = rng.dirichlet(np.ones(len(classes)), len(rows)) * 0.4
        scores[n, np.arange(len(rows)), decided] += 0.6
    frame = pd.concat([rows[["key", "split"]].assign(y_true=rows["label"], seed=seed) for seed in seeds])
    frame[[SCORE + label for label in classes]] = scores.reshape(-1, len(classes))
    return frame


def explain(predictions, manifest):
    """An index.json: every test image explained for the methods with a backbone, a third for each reason."""
    test = manifest[manifest["split"] == "test"].sort_values("key")
    methods = [method for method in predictions if method != "scratch"]
    reasons = ["mistake", "hesitant", "clear"]
    return {
        "methods": methods,
        "images": [
            {
                "key": key,
                "label": label,
                "reasons": dict.fromkeys(methods, reasons[n % 3]),
                "maps": {m: {"class": label, "score": 0.98, "file": f"{m}/{key}.png"} for m in methods},
            }
            for n, (key, label) in enumerate(zip(test["key"], test["label"], strict=True))
        ],
    }


def make_inputs(classes, methods=METHODS, n_test=4, share_wrong=0.3, picture=photo, explained=None):
    """What the stages would have written for random predictions; the methods on features have two seeds."""
    manifest, rng = make_manifest(classes, n_test), np.random.default_rng(0)
    predictions = {}
    for method in methods:
        own = [0, 1] if method.startswith("two_stage") else [0]
        facts = make_facts(method, seeds=own, n_seen_train=3 * len(classes), best_epoch=2, epochs=2)
        predictions[method] = (predict(manifest, classes, rng, share_wrong, own), facts)
    metrics = {method: evaluate(*predicted, manifest, 0.95, 15) for method, predicted in predictions.items()}
    gallery = choose_gallery(predictions, manifest, explained or explain(predictions, manifest))
    curve = {"accuracy": [0.5, 0.7], "loss": [1.0, 0.5], "val_accuracy": [0.4, 0.6], "val_loss": [1.1, 0.7]}
    return Inputs(
        comparison=compare(predictions, metrics),
        metrics=metrics,
        data={
            "n_read": len(manifest) + 3,
            "n_rejected": 1,
            "rejected_share": 1 / (len(manifest) + 3),
            "rejects": [{"path": "rose/<i>bad</i>.jpg", "reason": "truncated"}],
            "duplicates": 2,
            "duplicates_across_splits": 1,
            "duplicate_paths": [{"kept": f"a/{n}.jpg", "dropped": f"b/{n}.jpg"} for n in range(2)],
        },
        timing=TIMING,
        histories={method: pd.DataFrame({"epoch": [1, 2], **curve}) for method in methods},
        predictions=predictions,
        manifest=manifest,
        gallery=gallery,
        images={key: encode(picture(n)) for n, key in enumerate(gallery.keys)},
        maps={file: encode(picture(n), "PNG") for n, file in enumerate(gallery.maps)},
    )


class Parsed(HTMLParser):
    """A page: its tags with their attributes and ancestors, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        self.text += [" "] * (tag not in INLINE)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs, _ in self.tags if name == tag]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


def build(inputs, **changes):
    given = {"dataset": "flowers", "bins": 15, "provenance": COMMIT} | changes
    return build_page(inputs, **given)


@pytest.fixture(scope="module")
def inputs():
    return make_inputs(FLOWERS)


@pytest.fixture(scope="module")
def page(inputs):
    return build(inputs)


@pytest.fixture(scope="module")
def many():
    """Forty classes with all kinds of names, 300 mistakes and more, large photos."""
    large = make_inputs(MANY, n_test=10, share_wrong=0.32, picture=lambda n: photo(n, (200, 260)))
    assert large.gallery.n_mistakes >= 300
    return large, build(large)


@pytest.fixture(scope="module")
def least():
    """One method, no mistake, no second, no Grad-CAM, one seed, gray pictures of 28 pixels."""
    none = {"methods": [], "images": []}
    gray = make_inputs(FLOWERS, ["scratch"], 4, 0.0, lambda n: photo(n, (28, 28), 1), none)
    clean = {"n_rejected": 0, "rejected_share": 0.0, "rejects": []}
    clean |= {"duplicates": 0, "duplicates_across_splits": 0, "duplicate_paths": []}
    return build(replace(gray, timing={}, data=gray.data | clean))


@pytest.fixture(params=["page", "many", "least"])
def any_page(request):
    built = request.getfixturevalue(request.param)
    return built[1] if request.param == "many" else built


def test_headings_follow_each_other_and_the_contents_lead_to_them(any_page):
    parsed = Parsed(any_page)
    levels = [int(tag[1]) for tag, _, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs, _ in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for attrs in parsed.all("a")]
    assert [link.removeprefix("#") for link in links] == [section["id"] for section in parsed.all("section")]
    for section in parsed.all("section"):
        assert section["aria-labelledby"] in ids
        assert CONTENTS[section["id"]] in parsed.words


def test_it_needs_no_other_file_and_no_script(any_page):
    parsed = Parsed(any_page)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _, _ in parsed.tags}
    for tag, attrs, _ in parsed.tags:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "action", "data"):
            assert attrs.get(name, "#").startswith(("#", "data:image/")), (tag, attrs)
    without_namespace = any_page.replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in without_namespace
    assert "https:" not in without_namespace
    assert "@import" not in any_page
    assert set(re.findall(r"url\((.)", any_page)) <= {"#"}
    policy = {attrs["http-equiv"]: attrs["content"] for attrs in parsed.all("meta") if "http-equiv" in attrs}
    assert policy["Content-Security-Policy"].startswith("default-src 'none'")
    assert parsed.all("html") == [{"lang": "en"}]
    assert len(parsed.all("title")) == 1
    assert "viewport" in {attrs.get("name") for attrs in parsed.all("meta")}


def test_pictures_have_texts_and_tables_headers(any_page):
    parsed = Parsed(any_page)
    assert parsed.all("img")
    for attrs in parsed.all("img"):
        assert attrs["alt"].strip()
        assert max(int(attrs["width"]), int(attrs["height"])) <= LONGEST
        assert Image.open(BytesIO(b64decode(attrs["src"].partition(",")[2]))).width == int(attrs["width"])
    assert all(
        attrs["aria-label"].strip() for _, attrs, _ in parsed.tags if attrs.get("role") in ("img", "region")
    )
    assert all(attrs["scope"] in ("col", "row") for attrs in parsed.all("th"))
    inside = [parent for tag, _, parents in parsed.tags if tag == "table" for parent in parents[-1:]]
    assert inside
    assert set(inside) == {"div"}
    assert len(parsed.all("caption")) == len(parsed.all("thead")) == len(inside)
    scrolls = [attrs for attrs in parsed.all("div") if attrs.get("class") == "scroll"]
    assert [attrs["tabindex"] for attrs in scrolls] == ["0"] * len(inside)


def test_it_is_small(many, page):
    assert len(many[1].encode()) < 5_000_000
    assert len(page.encode()) < 1_000_000


def test_what_the_numbers_say_is_said(page):
    words = Parsed(page).words
    assert "The backbone vgg19 has random weights: this page shows that the machinery works" in words
    assert "flowers: 24 images of 3 classes" in words
    assert "git switch --detach 0 && make repro" in words
    assert "0123456789ab of 2026-11-23" in words
    assert re.search(
        r"(is better than .* and worse on \d+|on the same images|each better on \d+ images?): no significant",
        words,
    )
    assert re.search(r"two_stage: [\d.]+ ± [\d.]+ % \(2 seeds", words)
    assert "rose/<i>bad</i>.jpg truncated" in words
    assert "1 of them in another split" in words


def test_the_name_of_a_class_comes_out_as_text(many):
    parsed = Parsed(many[1])
    for name in NAMES:
        assert f"photo labelled {name}, {name}/" in " ".join(attrs["alt"] for attrs in parsed.all("img"))
        assert name in parsed.words
    assert not [tag for tag, _, parents in parsed.tags if "th" in parents and tag not in ("bdi", "wbr")]


def test_with_nothing_to_show_it_says_so(least):
    words = Parsed(least).words
    assert "No test image was classified wrong by any method." in words
    assert "No method was explained." in words
    assert "No method rests on a backbone" in words
    assert "Backbone none" in words
    assert "Pairs of methods" not in words
    assert "Over the seeds" not in words
    assert "Not pre-trained" not in words
    assert "0 were rejected (0.0%)" in words
    assert {attrs["class"] for attrs in Parsed(least).all("img")} == {"tiny"}


def test_mistakes_beyond_those_shown_are_counted(many):
    inputs, page = many
    gallery = inputs.gallery
    assert len(gallery.mistakes) == MISTAKES
    assert len(gallery.hesitant) == HESITANT
    words = Parsed(page).words
    assert f"{gallery.n_mistakes:,} of 400 test images were classified wrong" in words
    assert f"{gallery.n_mistakes - MISTAKES:,} more mistakes are not shown." in words
    assert f"{gallery.n_hesitant - HESITANT:,} more hesitant hits are not shown." in words


def test_a_grad_cam_says_what_it_explains(page):
    alts = [attrs["alt"] for attrs in Parsed(page).all("img")]
    assert [
        alt for alt in alts if re.match("where two_stage looked, answering (daisy|rose|tulip) with 98", alt)
    ]
    assert not [alt for alt in alts if "scratch" in alt]


def test_the_same_inputs_give_the_same_bytes(inputs, page):
    images = dict(reversed(inputs.images.items()))
    manifest = inputs.manifest.sample(frac=1, random_state=1)
    shuffled = replace(inputs, images=images, manifest=manifest)
    assert build(shuffled) == page


@pytest.mark.parametrize(("score", "text"), [(1.0, "100"), (0.9999, "99"), (0.985, "98"), (0.004, "0")])
def test_only_what_is_certain_is_100_percent(score, text):
    assert percent_sign(score) == f"{text}\N{NO-BREAK SPACE}%"


# --- which pictures -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(1, 4))
def test_mistakes_are_all_there_those_hard_for_all_first_then_by_confidence(seed, share_wrong, n_methods):
    manifest, rng = make_manifest(FLOWERS, 6), np.random.default_rng(seed)
    predictions = {
        method: (predict(manifest, FLOWERS, rng, share_wrong, [0, 1]), {"seeds": [0, 1]})
        for method in METHODS[:n_methods]
    }
    gallery = choose_gallery(predictions, manifest, {"methods": [], "images": []})
    ranks = [(not case.hard_for_all, -case.worst) for case in gallery.mistakes]
    assert ranks == sorted(ranks)
    assert gallery.n_hard == sum(case.hard_for_all for case in gallery.mistakes)
    wrong = {}
    for method, (frame, _) in predictions.items():
        for row in frame[(frame["split"] == "test")].to_dict("records"):
            label = max(FLOWERS, key=lambda name, row=row: row[SCORE + name])
            wrong.setdefault((row["key"], method), []).append(label != row["y_true"])
    answers = {
        (case.key, a.method): (not a.right, a.n_wrong) for case in gallery.mistakes for a in case.answers
    }
    keys = {key for (key, _), by_seed in wrong.items() if by_seed[0]}
    assert {key for key, _ in answers} == keys
    assert answers == {pair: (by_seed[0], sum(by_seed)) for pair, by_seed in wrong.items() if pair[0] in keys}


def test_a_sample_is_of_train_and_there_is_one_a_class():
    manifest = make_manifest([f"{n:03d}" for n in range(SAMPLES + 5)], 2)
    only = choose_gallery({}, manifest[manifest["split"] != "train"], {"images": []}).samples
    samples = choose_gallery({}, manifest.sample(frac=1, random_state=0), {"images": []})
    assert (len(samples.samples), samples.n_classes) == (SAMPLES, SAMPLES + 5)
    by_key = manifest.set_index("key")
    assert {by_key.loc[key, "split"] for key, _ in samples.samples.values()} == {"train"}
    assert {by_key.loc[key, "split"] for key, _ in only.values()} == {"validation"}
    assert all(by_key.loc[key, "label"] == label for label, (key, _) in samples.samples.items())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3]))
def test_a_thumbnail_keeps_the_aspect_ratio_and_what_is_tiny_its_pixels(height, width, channels):
    pixels = photo(0, (height, width), channels)
    shown = make_picture(encode(pixels, "PNG"))
    assert max(shown.width, shown.height) == min(LONGEST, max(height, width))
    longest = max(height, width)
    assert abs(shown.width - shown.height - (width - height) * min(1, LONGEST / longest)) <= 1.01
    assert shown.tiny == (longest <= 64)
    thumbnail = Image.open(BytesIO(b64decode(shown.uri.removeprefix("data:image/webp;base64,"))))
    assert thumbnail.size == (shown.width, shown.height)
    if shown.tiny:
        gray = np.repeat(pixels.reshape(height, width, channels), 3 // channels, axis=2)
        assert (np.asarray(thumbnail.convert("RGB")) == gray).all()


def test_the_best_of_a_column_is_marked_also_twice_and_what_is_unknown_is_a_dash(inputs):
    timing = {stage: times for stage, times in TIMING.items() if stage != "train_inline"}
    table = compare_methods(inputs.comparison, timing)
    assert table.headers[:3] == ["method", "test accuracy, %", "95 % interval"]
    seconds = [cells[-1] for _, cells in table.rows]
    assert [cell.text for cell in seconds] == ["12.0", "12.5", "-", "33.0"]
    assert [cell.best for cell in seconds] == [True, False, False, False]
    parameters = [cells[table.headers.index("all parameters") - 1] for _, cells in table.rows]
    assert [cell.best for cell in parameters] == [False, False, False, True]
    spread = [cells[2].text for _, cells in table.rows]
    assert "±" in spread[0]
    assert spread[2:] == ["one seed", "one seed"]
    accuracies = zip(inputs.comparison["methods"], [0.9002, 0.9001, 0.9, 0.5], strict=True)
    rows = [row | {"test_accuracy": accuracy} for row, accuracy in accuracies]
    equal = compare_methods(inputs.comparison | {"methods": rows}, {})
    assert [cells[0].best for _, cells in equal.rows] == [True, True, True, False]


def test_without_a_commit_it_says_so(inputs):
    words = Parsed(build(inputs, provenance=NO_COMMIT)).words
    assert NO_COMMIT.notes[0] in words
    assert "Rebuild it" not in words


# --- the stage and the command ------------------------------------------------------------------------


def write_inputs(inputs, root):
    """Lay the inputs where the stages write them."""
    for method, (frame, facts) in inputs.predictions.items():
        scores = frame.filter(like=SCORE)
        rows = frame[["key", "split", "seed"]].assign(label=frame["y_true"])
        classes = [name.removeprefix(SCORE) for name in scores]
        write_predictions(root / f"predictions/{method}.parquet", rows, scores.to_numpy(), classes, facts)
        (root / f"models/{method}").mkdir(parents=True)
        inputs.histories[method].to_csv(root / f"models/{method}/history.csv", index=False)
    write_manifest(inputs.manifest, root / "data/manifest.csv")
    (root / "data/images").mkdir()
    images = pd.DataFrame({"key": inputs.images.keys(), "image": inputs.images.values()})
    images.to_parquet(root / "data/images/0.parquet")
    files = {f"metrics/{method}.json": values for method, values in inputs.metrics.items()}
    files |= {"metrics/comparison.json": inputs.comparison, "metrics/data.json": inputs.data}
    files |= {f"metrics/timing/{stage}.json": values for stage, values in inputs.timing.items()}
    files["reports/explain/index.json"] = explain(inputs.predictions, inputs.manifest)
    for name, values in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(values), encoding="utf-8")
    for name, data in inputs.maps.items():
        (root / "reports/explain" / name).parent.mkdir(exist_ok=True)
        (root / "reports/explain" / name).write_bytes(data)


def test_the_stage_writes_that_page_whatever_the_order_of_sets(inputs, page, work):
    write_inputs(inputs, work)
    commit(work)
    expected = page.replace("flowers", "demo")
    # Sets have another order there than here.
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT / "stages")}
    code = "import runpy, sys; runpy.run_module('report', run_name='__main__'); "
    code += "assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=work, env=environment, check=True)
    written = (work / "reports/index.html").read_text(encoding="utf-8")
    head, _, rest = written.partition("<nav")
    assert rest == expected.partition("<nav")[2]
    assert describe_commit(work).commit in head
    assert str(work) not in written


def test_open_opens_it_in_the_browser_and_prints_where_it_is(tmp_path):
    """The browser is a program that writes down what it is given."""
    page = tmp_path / "reports/index.html"
    page.parent.mkdir()
    page.write_text("")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", "from graft.cli import app; app()", "report", "open", "--root", str(tmp_path)],
        env=os.environ | {"BROWSER": str(browser)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{page.as_posix()}\n"
    assert (tmp_path / "opened").read_text() == f"{page.as_uri()}\n"


def test_open_says_what_to_do_where_there_is_no_page(tmp_path):
    result = CliRunner().invoke(app, ["report", "open", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "reports/index.html: run `dvc repro report` first" in result.stderr
