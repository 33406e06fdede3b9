"""The report's page: its content, whatever the dataset; the stage; how it is opened."""

import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.features import GEOMETRIC
from graft.config.paths import CURATION, CURATION_PAGE, MANIFEST, PAGE
from graft.data.manifest import read_manifest, write_manifest
from graft.evaluation.predictions import SCORE
from graft.methods.registry import METHODS
from graft.report.gallery import HESITANT, MISTAKES, SAMPLES, choose_gallery
from graft.report.inputs import read_inputs
from graft.report.outdated import is_outdated
from graft.report.page import CONTENTS, percent_sign
from graft.report.provenance import NO_COMMIT, describe_commit
from graft.report.thumbnails import LONGEST, make_thumbnail
from graft.report.views import SHOWN
from graft.utils.belonging import write_values
from helpers.comparison import WITHOUT_EPOCHS
from helpers.pages import (
    COMMIT,
    FLOWERS,
    NAMES,
    Parsed,
    build,
    curated,
    encode,
    explain,
    make_image,
    make_inputs,
    make_manifest,
    monitored,
    predict,
    read_defaults,
    with_backbones,
    write_inputs,
)
from helpers.repository import ROOT
from helpers.tiers import long_but_for
from helpers.work_trees import commit, lay_work_tree


@pytest.fixture(params=long_but_for(["page", "least"], ["page", "many", "least"]))
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
    links = [attrs["href"] for attrs in parsed.all("a") if attrs["href"] != CURATION_PAGE.name]
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
            assert attrs.get(name, "#").startswith(("#", "data:image/", CURATION_PAGE.name)), (tag, attrs)
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


def test_images_have_texts_and_tables_headers(any_page):
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
    scrolls = [attrs for attrs in parsed.all("div") if attrs.get("class", "").startswith("scroll")]
    assert [attrs["tabindex"] for attrs in scrolls] == ["0"] * len(inside)


@pytest.mark.long
def test_it_is_small(many, page):
    assert len(many[1].encode()) < 5_000_000
    assert len(page.encode()) < 200_000 * len(METHODS)


def test_what_the_numbers_say_is_said(page):
    words = Parsed(page).words
    assert (
        "The backbone vgg19 was NOT pre-trained (weights: random): this shows that the machinery works"
        in words
    )
    assert "flowers: 24 images of 3 classes" in words
    assert "git switch --detach 0 && make repro" in words
    assert "0123456789ab of 2026-11-23" in words
    assert re.search(
        r"(is better than .* and worse on \d+|on the same images|each better on \d+ images?): no significant",
        words,
    )
    assert re.search(r"two_stage: [\d.]+ ± [\d.]+ % \(2 seeds", words)
    assert "rose/<i>bad</i>.jpg truncated" in words
    assert "By <the> photographers, CC BY 2.0." in words
    assert "1 of them in another split" in words
    left_out = ", ".join(method for method in METHODS if method in WITHOUT_EPOCHS)
    assert f"Trained without epochs, so left out: {left_out}." in words


@pytest.mark.long
def test_the_name_of_a_class_comes_out_as_text(many):
    parsed = Parsed(many[1])
    shown = " ".join(attrs["alt"] for attrs in parsed.all("img"))
    labelled = [name for name in NAMES if f"image labelled {name}, {name}/" in shown]
    assert len(labelled) >= len(NAMES) - 1  # of the worst mistakes, which are at random here
    for name in NAMES:
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
    assert "NOT pre-trained" not in words
    assert "without epochs" not in words
    assert "0 were rejected (0.0%)" in words
    of_the_test = [attrs for attrs in Parsed(least).all("img") if attrs["alt"].startswith("image labelled")]
    assert {attrs["class"] for attrs in of_the_test} == {"tiny"}
    assert "It is the only method" in words
    assert "runner-up" not in words


@pytest.mark.long
def test_mistakes_beyond_those_shown_are_counted(many):
    inputs, page = many
    gallery = inputs.gallery
    assert len(gallery.mistakes) == MISTAKES
    assert len(gallery.hesitant) == HESITANT
    words = Parsed(page).words
    assert f"{gallery.counts['mistakes']:,} of 400 test images were classified wrong" in words
    assert f"{gallery.counts['mistakes'] - MISTAKES:,} more mistakes are not shown." in words
    assert f"{gallery.counts['hesitant'] - HESITANT:,} more hesitant hits are not shown." in words


def test_a_grad_cam_says_what_stands_above_it(inputs, page):
    """The class and the score of the predictions, not those that the model gives where Grad-CAM looks."""
    alts = {attrs["alt"] for attrs in Parsed(page).all("img")}
    shown = [one for case in inputs.gallery.cases for one in case.predictions]
    maps = [one for one in shown if one.heat_map]
    assert maps
    for one in maps:
        score = percent_sign(one.score)
        assert f"where {one.method} looked when it predicted {one.label} with {score}" in alts
        assert f"{one.label} {score}".replace("\N{NO-BREAK SPACE}", " ") in Parsed(page).words
    assert not [alt for alt in alts if "scratch" in alt]


def test_a_map_of_another_class_than_the_predicted_one_is_left_out(inputs):
    other = explain(inputs.predictions, inputs.manifest)
    for image in other["images"]:
        for one in image["maps"].values():
            one["class"] = "of a run before"
    assert choose_gallery(inputs.predictions, inputs.manifest, other).maps == []


def test_it_begins_with_a_verdict(inputs, page):
    top = Parsed(page).words.partition("Dataset")[0]
    best = max(inputs.comparison["methods"], key=lambda row: row["validation_accuracy"])
    said = r"Take (\w+), models/\1/model\.keras: it is right on [\d.]+ % of the 12 test images"
    assert re.search(said, top)
    assert "the highest validation accuracy" in top
    assert percent_sign(best["validation_accuracy"])[:2] in top
    assert "The runner-up is" in top


def test_it_says_which_run_it_is_of(inputs):
    blocks = {"two_stage": read_defaults()["two_stage"] | {"learning_rate": 0.123}}
    changed = COMMIT._replace(
        changes=(("two_stage.learning_rate", "0.001", "0.123"),), machine="A CPU, 2 cores", versions="graft 1"
    )
    words = Parsed(build(inputs, changed, **blocks)).words
    assert "two_stage.learning_rate: 0.001 → 0.123" in words
    assert "9 train, 3 validation, 12 test; split: fractions" in words
    assert "Machine A CPU, 2 cores Versions graft 1" in words
    assert "learning_rate 0.123 0.0003" in words
    for row in ("seeds [0, 1] [0, 1] [0, 1] [0] [0]", "epochs run 2 2 2 2", "best epoch 2 2 2 2", "best C 2"):
        assert f"{row} " in words
    assert "Augmentation flip horizontal, rotation 0.05" in words
    assert "scratch has the layers {Rescaling: {scale:" in words


@pytest.fixture(scope="module")
def small():
    """One method: its page is drawn in a second."""
    return make_inputs(FLOWERS, ["inline"])


def test_without_a_notice_of_the_dataset_there_is_none(small, least):
    old = {key: value for key, value in small.data.items() if key != "notice"}
    for page in (build(replace(small, data=old)), least):
        assert "CC BY" not in page
        assert "None" not in Parsed(page).words.partition("Rejects and duplicates")[2]


def test_what_is_in_the_source_and_not_in_the_results_is_told(page, least):
    words = Parsed(page).words.partition("Rejects and duplicates")[2]
    for said in (
        "Classes that the split leaves out: '<rare>' (1).",
        "Classes without an image: '<owl>' (12 .tif).",
        "Classes that may be one: 'cat ', 'Cat' (look alike).",
        "Ignored files: .tif (12).",
        "Ignored folders: empty (1).",
        "Images of 16 bits, by the bits that their values take: 12 bits (3).",
    ):
        assert said in words
    assert not any(word in Parsed(least).words for word in ("leaves out", "Ignored", "16 bits"))


def test_images_enlarge_without_a_script(page):
    parsed = Parsed(page)
    for tag, _, parents in parsed.tags:
        if tag == "img":
            assert parents[-2:] == ("details", "summary")


def test_the_views_stand_beside_their_images(small, page):
    alts = [attrs["alt"] for attrs in Parsed(page).all("img")]
    plain = [alt for alt in alts if alt.startswith("training image of")]
    assert len(plain) == SHOWN
    assert len([alt for alt in alts if alt.startswith("view ")]) == SHOWN * SHOWN
    neutral = dict.fromkeys(GEOMETRIC, 0) | {"flip": "none"}
    still = read_defaults()["augmentation"].model_copy(update=neutral)
    assert "training image of" not in build(small, augmentation=still)


def test_the_same_inputs_give_the_same_bytes(inputs, page):
    images = dict(reversed(inputs.images.items()))
    manifest = inputs.manifest.sample(frac=1, random_state=1)
    shuffled = replace(inputs, images=images, manifest=manifest)
    assert build(shuffled) == page


@pytest.mark.parametrize(("score", "text"), [(1.0, "100"), (0.9999, "99"), (0.985, "98"), (0.004, "0")])
def test_only_what_is_certain_is_100_percent(score, text):
    assert percent_sign(score) == f"{text}\N{NO-BREAK SPACE}%"


# --- which images -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(1, 4))
def test_mistakes_are_all_there_those_hard_for_all_first_then_by_confidence(seed, share_wrong, n_methods):
    manifest, rng = make_manifest(FLOWERS, 6), np.random.default_rng(seed)
    predictions = {
        method: (predict(manifest, FLOWERS, rng, share_wrong, [0, 1]), {"seeds": [0, 1]})
        for method in list(METHODS)[:n_methods]
    }
    gallery = choose_gallery(predictions, manifest, {"methods": [], "images": []})
    ranks = [(not case.hard_for_all, -case.worst) for case in gallery.mistakes]
    assert ranks == sorted(ranks)
    assert gallery.counts["hard"] == sum(case.hard_for_all for case in gallery.mistakes)
    wrong = {}
    for method, (frame, _) in predictions.items():
        for row in frame[(frame["split"] == "test")].to_dict("records"):
            label = max(FLOWERS, key=lambda name, row=row: row[SCORE + name])
            wrong.setdefault((row["key"], method), []).append(label != row["y_true"])
    shown = {
        (case.key, one.method): (not one.right, one.n_wrong)
        for case in gallery.mistakes
        for one in case.predictions
    }
    keys = {key for (key, _), by_seed in wrong.items() if by_seed[0]}
    assert {key for key, _ in shown} == keys
    assert shown == {pair: (by_seed[0], sum(by_seed)) for pair, by_seed in wrong.items() if pair[0] in keys}


def test_a_sample_is_of_train_and_there_is_one_a_class():
    manifest = make_manifest([f"{n:03d}" for n in range(SAMPLES + 5)], 2)
    only = choose_gallery({}, manifest[manifest["split"] != "train"], {"images": []}).samples
    samples = choose_gallery({}, manifest.sample(frac=1, random_state=0), {"images": []})
    assert (len(samples.samples), samples.counts["samples"]) == (SAMPLES, SAMPLES + 5)
    by_key = manifest.set_index("key")
    assert {by_key.loc[key, "split"] for key, _ in samples.samples.values()} == {"train"}
    assert {by_key.loc[key, "split"] for key, _ in only.values()} == {"validation"}
    assert all(by_key.loc[key, "label"] == label for label, (key, _) in samples.samples.items())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3]))
def test_a_thumbnail_keeps_the_aspect_ratio_and_what_is_tiny_its_pixels(height, width, channels):
    pixels = make_image(0, (height, width), channels)
    shown = make_thumbnail(encode(pixels, "PNG"))
    assert max(shown.width, shown.height) == min(LONGEST, max(height, width))
    longest = max(height, width)
    assert abs(shown.width - shown.height - (width - height) * min(1, LONGEST / longest)) <= 1.01
    assert shown.tiny == (longest <= 64)
    thumbnail = Image.open(BytesIO(b64decode(shown.uri.removeprefix("data:image/webp;base64,"))))
    assert thumbnail.size == (shown.width, shown.height)
    if shown.tiny:
        gray = np.repeat(pixels.reshape(height, width, channels), 3 // channels, axis=2)
        assert (np.asarray(thumbnail.convert("RGB")) == gray).all()


def test_without_a_commit_it_says_so(least):
    words = Parsed(least).words
    assert NO_COMMIT.notes[0] in words
    assert "Rebuild it" not in words


# --- the stage and the command ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(inputs, tmp_path_factory):
    """A repository with what the other stages wrote, of `inputs`, and no page."""
    root = lay_work_tree(tmp_path_factory.mktemp("drawn") / "repo")
    write_inputs(inputs, root)
    commit(root)
    return root


def below_the_head(html):
    return html.partition("<nav")[2]


def test_the_stage_writes_that_page_whatever_the_order_of_sets(drawn, page):
    # Sets have another order there than here.
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT / "stages")}
    code = "import runpy, sys; runpy.run_module('report', run_name='__main__'); "
    code += "assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=drawn, env=environment, check=True)
    written = (drawn / PAGE).read_text(encoding="utf-8")
    assert below_the_head(written) == below_the_head(page)
    assert describe_commit(drawn).commit in written.partition("<nav")[0]
    assert str(drawn) not in written


def test_open_opens_the_page_in_the_browser_and_prints_where_it_is(tmp_path):
    """The browser is a program that writes down what it is given."""
    page = tmp_path / PAGE
    page.parent.mkdir()
    page.write_text("")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    command = "from graft.cli.main import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", command, "report", "open", "--root", str(tmp_path)],
        env=os.environ | {"BROWSER": str(browser)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{page.as_posix()}\n"
    assert (tmp_path / "opened").read_text() == f"{page.as_uri()}\n"


def test_open_draws_a_page_that_is_missing(drawn, page, monkeypatch):
    monkeypatch.setenv("BROWSER", "true")
    (drawn / PAGE).unlink(missing_ok=True)
    result = CliRunner().invoke(app, ["report", "open", "--root", str(drawn)])
    assert (result.exit_code, result.stdout) == (0, f"{(drawn / PAGE).as_posix()}\n")
    assert below_the_head((drawn / PAGE).read_text(encoding="utf-8")) == below_the_head(page)


def test_a_page_is_outdated_if_a_file_that_it_shows_is_newer(drawn, tmp_path):
    page = tmp_path / "index.html"
    assert is_outdated(page, drawn)
    page.write_text("")
    files = [path for path in drawn.rglob("*") if path.is_file() and ".git" not in path.parts]
    for path in files:
        os.utime(path, (0, 0))
    os.utime(page, (1, 1))
    assert not is_outdated(page, drawn)
    for path in (path for path in files if path.suffix in (".json", ".csv", ".yaml")):
        os.utime(path, (2, 2))
        assert is_outdated(page, drawn), path
        os.utime(path, (0, 0))


def test_open_says_what_to_do_where_there_is_nothing_to_draw(work):
    result = CliRunner().invoke(app, ["report", "open", "--root", str(work)])
    assert result.exit_code == 1
    assert re.search(r"predictions/\w+.parquet; run `dvc repro`, or `dvc pull`", result.stderr)


def test_open_shows_the_page_as_it_was_where_the_results_are_of_two_runs(drawn, page, monkeypatch, tmp_path):
    """As after an experiment on other images that ended at one method's evaluation."""
    monkeypatch.setenv("BROWSER", "true")
    mixed = tmp_path / "mixed"
    shutil.copytree(drawn, mixed)
    (mixed / PAGE).write_text(page, encoding="utf-8")
    manifest = read_manifest(mixed / "data/manifest.csv")
    write_manifest(manifest.assign(key=[key[::-1] for key in manifest["key"]]), mixed / "data/manifest.csv")
    os.utime(mixed / PAGE, (1, 1))
    result = CliRunner().invoke(app, ["report", "open", "--root", str(mixed)])
    assert result.exit_code == 0
    assert "some predictions are of other images than data/manifest.csv; run `dvc repro`" in result.stderr
    assert (mixed / PAGE).read_text(encoding="utf-8") == page


def test_it_shows_what_curation_counted_and_leads_to_its_page(inputs, page):
    parsed = Parsed(build(curated(inputs)))
    assert CONTENTS["curation"] in parsed.words
    assert "4 labels of 24 may be wrong, 1 of them in test." in parsed.words
    assert "75.0 (50.0-90.0) of 10" in parsed.words
    assert [one["href"] for one in parsed.all("a") if not one["href"].startswith("#")] == [CURATION_PAGE.name]
    assert CONTENTS["curation"] not in Parsed(page).words


def test_curation_is_shown_where_its_page_is_and_it_is_of_these_features(inputs, tmp_path):
    write_inputs(inputs, tmp_path)
    values = curated(inputs).curation
    write_values(tmp_path, CURATION / "findings.json", values, [MANIFEST])
    assert read_inputs(tmp_path).curation == {}
    (tmp_path / CURATION_PAGE).write_text("a page")
    assert read_inputs(tmp_path).curation == values
    (tmp_path / MANIFEST).write_text((tmp_path / MANIFEST).read_text() + "\n")
    assert read_inputs(tmp_path).curation == {}


def test_it_shows_what_monitoring_and_tuning_found(inputs, page):
    shown = build(monitored(inputs))
    parsed = Parsed(shown)
    assert "DRIFT: the <b>images</b> differ." in parsed.words
    assert all(name in parsed.words for name in NAMES)
    assert CONTENTS["monitoring"] in parsed.words
    assert CONTENTS["tuning"] in parsed.words
    assert "12 trials (1 pruned)" in parsed.words
    assert "dvc exp run -S 'two_stage.head.dense=[8, 8]'" in parsed.words
    assert "11 trials from value to value" in shown
    words = Parsed(page).words
    assert "graft monitor" not in words
    assert "graft tune" not in words


def test_it_shows_the_backbones_that_were_compared_with_these_parameters(inputs, page):
    linear = read_defaults()["linear"]
    parsed = Parsed(build(with_backbones(inputs, linear)))
    assert CONTENTS["backbones"] in parsed.words
    assert "vgg<19> is right most often: 93.3 %" in parsed.words
    assert "no significant difference" in parsed.words
    assert "small has 11 % of the file's size." in parsed.words
    for unchanged in (page, build(with_backbones(inputs, linear | {"C": 3.0}))):
        assert "graft backbones compare" not in Parsed(unchanged).words
