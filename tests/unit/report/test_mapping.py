"""The map in the report and as its own page: of these predictions, with any names, and small."""

import json
import re
import shutil
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.paths import MAP, MAP_PAGE
from graft.curation.embedding_map import MAX_BYTES, MOST
from graft.evaluation.predictions import SCORE, write_predictions
from graft.features.format import write_features
from graft.report.charts.embedding import embedding
from graft.report.inputs import read_inputs
from graft.report.mapping import (
    COLOURS,
    OTHER,
    build_map_page,
    colour_classes,
    describe_map,
    explain_map,
    read_map,
)
from graft.utils.belonging import write_values
from helpers.pages import (
    FLOWERS,
    MANY,
    NAMES,
    Parsed,
    encode,
    lay_out,
    make_image,
    make_inputs,
    mapped,
    write_inputs,
)

SPLITS = ["test", "train", "validation"]


@pytest.fixture(scope="module")
def few(inputs):
    return mapped(inputs).mapped


@pytest.fixture(scope="module")
def all_names():
    return mapped(make_inputs(MANY, n_test=10)).mapped


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_wrong_are_the_test_images_that_the_method_got_wrong(few, inputs):
    method = next(iter(inputs.predictions))
    frame, facts = inputs.predictions[method]
    first = frame[(frame["split"] == "test") & (frame["seed"] == facts["seeds"][0])]
    scores = first[[f"y_score.{label}" for label in FLOWERS]].to_numpy()
    wrong = set(first["key"][np.array(FLOWERS)[scores.argmax(1)] != first["y_true"]])
    paths = inputs.manifest.set_index("key")["path"]
    assert wrong
    assert set(few.points.loc[few.points["wrong"], "path"]) == set(paths[list(wrong)])
    assert (few.points["predicted"].notna() == (few.points["split"] == "test")).all()
    assert f"Rings: the {len(wrong)} test images" in explain_map(few)[2]


@pytest.mark.parametrize("case", ["few", "all_names"])
def test_the_page_says_of_each_point_what_it_is(case, request):
    shown = request.getfixturevalue(case)
    page = build_map_page(shown)
    data = data_of(page)
    for point, row in zip(data["points"], shown.points.itertuples(), strict=True):
        x, y, label, split, path, predicted, score = point
        assert (x, y, path) == (row.x, row.y, row.path)
        assert (data["labels"][label], data["splits"][split]) == (row.label, row.split)
        assert (data["labels"][predicted] if predicted >= 0 else None) == row.predicted
        assert score == pytest.approx(row.score, abs=1e-4)
    assert data["outliers"] == shown.outliers
    assert build_map_page(shown) == page


def test_only_the_script_that_is_in_the_page_may_run(all_names):
    page = build_map_page(all_names)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    allowed = re.search(r"script-src 'sha256-([^']+)'", page)[1]
    assert [b64encode(sha256(script.encode()).digest()).decode() for script in scripts] == [allowed]
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert not any(name in page for name in NAMES if "<" in name)  # escaped, in the data as well
    parsed = Parsed(page)
    assert [tag for tag in ("h1", "canvas", "noscript") if not parsed.all(tag)] == []


def test_of_many_classes_those_with_the_most_mistakes_have_colours(all_names):
    counts = all_names.points.groupby("label")["wrong"].sum()
    coloured = counts[list(all_names.colours)]
    assert len(coloured) == len(COLOURS) == len(set(all_names.colours.values()))
    assert coloured.min() >= counts.drop(coloured.index).max()
    assert "the others are gray" in explain_map(all_names)[0]
    data = data_of(build_map_page(all_names))
    grays = {label for label, colour in zip(data["labels"], data["colours"], strict=True) if colour == OTHER}
    assert grays == set(data["labels"]) - set(all_names.colours)


@pytest.mark.parametrize("page", ["#ffffff", "#15181b"])
def test_each_classes_colour_stands_out_from_a_light_and_a_dark_page(page):
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for colour in (*COLOURS, OTHER):
        low, high = sorted([luminance(colour), luminance(page)])
        assert (high + 0.05) / (low + 0.05) >= 3, colour


@pytest.mark.parametrize("case", ["few", "all_names"])
def test_the_chart_has_a_dot_an_image_a_ring_a_mistake_and_thumbnails(case, request):
    shown = request.getfixturevalue(case)
    chart = embedding("map", shown)
    dots = re.findall(r"M ([\d.-]+ [\d.-]+) +L \1(?![\d.])", chart.svg)
    assert len(dots) == len(shown.points)
    assert chart.svg.count("data:image/png;base64,") == len(shown.outliers)
    assert f"{int(shown.points['wrong'].sum())} test images" in chart.alt
    assert embedding("map", shown) == chart


def test_a_thumbnail_is_that_of_its_image(few, inputs):
    side, n = few.side, len(few.points)
    sheet = b64decode(lay_out(inputs)["sheet"])
    assert sheet == few.sheet
    assert [each.shape for each in few.thumbnails] == [(side, side, 3)] * len(few.outliers)
    assert n > len(few.outliers)


def test_the_page_stays_below_5_mb_at_its_largest(few):
    n = MOST
    points = pd.concat([few.points] * (n // len(few.points) + 1), ignore_index=True)[:n]
    points["path"] = [f"{'a folder of photos/' * 3}{i:06d}.jpg" for i in range(n)]
    page = build_map_page(replace(few, points=points, sheet=bytes(MAX_BYTES)))
    assert len(page.encode()) < 5_000_000


def test_ten_classes_all_have_colours():
    points = pd.DataFrame({"label": [f"{n}" for n in range(10)], "wrong": False})
    assert list(colour_classes(points)) == list(points["label"])


@pytest.fixture(scope="module")
def built_once(inputs, tmp_path_factory):
    """A repository's files, with features of its images, of which groups are alike; all images are there."""
    root = tmp_path_factory.mktemp("mapped")
    images = {key: encode(make_image(n)) for n, key in enumerate(sorted(inputs.manifest["key"]))}
    write_inputs(replace(inputs, images=images), root)
    write_features_of(root, inputs.manifest, 0)
    return root


@pytest.fixture
def repo(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "repo")


def write_features_of(root, manifest, seed):
    rng = np.random.default_rng(seed)
    rows = manifest.sort_values("key")
    middles = np.eye(8)[rows["label"].map(FLOWERS.index)]
    features = (middles + rng.normal(0, 0.1, middles.shape)).astype(np.float16)
    (root / "data/features").mkdir(exist_ok=True)
    write_features(
        root / "data/features/0.parquet", [(key, 0) for key in rows["key"]], features, {"seed": seed}
    )


def run(*arguments):
    done = CliRunner().invoke(app, ["map", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


def test_the_command_writes_a_map_twice_the_same(repo, inputs):
    code, said = run("--root", repo)
    n = len(inputs.manifest)
    assert (code, f"{n} of {n} images" in said) == (0, True)
    written = [(repo / file).read_bytes() for file in (MAP_PAGE, MAP / "map.json")]
    assert run("--root", repo)[0] == 0
    assert [(repo / file).read_bytes() for file in (MAP_PAGE, MAP / "map.json")] == written
    assert read_inputs(repo).mapped is not None


def test_a_map_belongs_to_its_features_and_shows_the_present_predictions(repo):
    run("--root", repo, "--method", "linear")
    before = read_map(repo)
    assert before.method == "linear"
    inputs = make_inputs(FLOWERS, share_wrong=1.0)
    (repo / "predictions/linear.parquet").unlink()
    frame, facts = inputs.predictions["linear"]
    rows = frame[["key", "split", "seed"]].assign(label=frame["y_true"])
    scores = frame.filter(like=SCORE).to_numpy()
    write_predictions(repo / "predictions/linear.parquet", rows, scores, FLOWERS, facts)
    after = read_map(repo)
    assert (
        after.points["wrong"].sum() == (after.points["split"] == "test").sum() > before.points["wrong"].sum()
    )
    np.testing.assert_array_equal(after.points[["x", "y"]], before.points[["x", "y"]])
    write_features_of(repo, inputs.manifest, 1)
    assert read_map(repo) is None


def test_what_has_no_map_ends_with_1_and_a_sentence(repo, inputs, tmp_path):
    assert run("--root", repo, "--method", "none")[0] == 1
    code, said = run("--root", tmp_path / "nowhere")
    assert (code, "run `dvc repro` first" in said) == (1, True)
    write_features_of(repo, inputs.manifest[1:], 0)
    code, said = run("--root", repo)
    assert (code, "1 images are not in" in said) == (1, True)
    assert not (repo / MAP_PAGE).exists()


def test_a_sample_says_of_how_many_it_is(inputs):
    method = next(iter(inputs.predictions))
    found = lay_out(inputs, 7)
    shown = describe_map(found, inputs.manifest, inputs.predictions[method][0].query("seed == 0"))
    assert len(shown.points) == 7
    assert f"A sample of 7 of {len(inputs.manifest)} images" in explain_map(shown)[0]


def test_a_damaged_file_is_named(repo):
    write_values(repo, MAP / "map.json", {}, [])
    assert read_map(repo) is None
    (repo / MAP / "map.json").write_text("{")
    with pytest.raises(ValueError, match=r"map\.json is not JSON"):
        read_map(repo)
