"""`graft curate` on a dataset whose faults are known: what it finds, writes, suggests and leaves alone."""

import json
import re
import shutil
from hashlib import sha256
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.load import load_params
from graft.config.training import Linear
from graft.curation.findings import find
from graft.curation.leakage import measure_leakage
from graft.curation.neighbours import find_duplicates, find_neighbours, find_outliers, to_vectors
from graft.data.edits import COLUMNS, read_edits
from graft.data.manifest import write_manifest
from graft.evaluation.predictions import read_predictions, write_predictions
from graft.features.format import write_features
from graft.methods.linear import Room
from graft.utils.belonging import read_values
from helpers.pages import Parsed
from helpers.repository import ROOT, edit

CLASSES = ["<b>rose", "tulip", "写真"]
N = 240
TWIN, OTHER, ALIEN = 0, 1, 5  # of test, of train, of validation


def encode(number):
    file = BytesIO()
    Image.new("RGB", (30, 20), (number % 256, number // 256, 90)).save(file, "PNG")
    return file.getvalue()


def make_manifest():
    rows = pd.DataFrame({"key": [sha256(encode(n)).hexdigest() for n in range(N)]})
    rows["label"] = [CLASSES[n % 3] for n in range(N)]
    rows["path"] = [f"{label}/{n:03}.png" for n, label in enumerate(rows["label"])]
    rows["split"] = np.resize(["test", "train", "train", "train", "validation", "validation"], N)
    return rows.assign(split=np.where(rows.index == OTHER, "train", rows["split"]))


def make_features(manifest, seed=0):
    """Two clouds of maps (3, 3, 16) a class; image `OTHER` is nearly `TWIN`, and `ALIEN` like none."""
    rng = np.random.default_rng(seed)
    centres = rng.random((3, 16)) * 2
    features = centres[manifest["label"].map(CLASSES.index)][:, None, None] + rng.random((N, 3, 3, 16)) * 1.5
    features[OTHER] = features[TWIN] + 0.01
    features[ALIEN] = 0
    features[ALIEN, 1, 1, 3] = 9
    return features.astype(np.float16)


def flip(manifest, places):
    """Give images another label, without another word."""
    flipped = manifest.copy()
    numbers = flipped.loc[places, "label"].map(CLASSES.index)
    flipped.loc[places, "label"] = [CLASSES[(n + 1) % 3] for n in numbers]
    return flipped


@pytest.fixture(scope="module")
def block():
    return load_params({"linear": Linear}, ROOT / "params.yaml").linear


@pytest.fixture
def room(tmp_path):
    return Room(2.0, tmp_path)


def test_flipped_labels_are_among_the_first_suspects(block, room):
    manifest = make_manifest()
    features = make_features(manifest)
    flipped = np.random.default_rng(1).choice(np.arange(6, N), round(0.03 * N), replace=False)
    found = find(flip(manifest, flipped), features, block, room, 0, 0.95)
    first = found.suspects.head(2 * len(flipped))
    keys = manifest.loc[flipped, "key"]
    assert keys.isin(first["key"]).mean() >= 0.6
    truth = manifest.set_index("key")["label"]
    right = first[first["key"].isin(keys)]
    assert (right["suggested"] == truth[right["key"]].to_numpy()).mean() > 0.8
    assert found.suspects["score"].is_monotonic_increasing


def test_no_test_label_changes_the_score_of_another_image(block, room):
    """Nothing is fitted on test: with all its labels wrong, the others are scored as before."""
    manifest = make_manifest()
    features = make_features(manifest)
    test = manifest.index[manifest["split"] == "test"]
    one, other = (find(rows, features, block, room, 0, 0.95) for rows in (manifest, flip(manifest, test)))
    assert one.accuracy == other.accuracy
    assert len(other.suspects[other.suspects["split"] == "test"]) > len(test) / 2


@settings(max_examples=5, deadline=None)
@given(st.randoms())
def test_the_order_of_the_images_does_not_matter(random):
    manifest = make_manifest()
    features = make_features(manifest)
    order = random.sample(range(N), N)
    pairs, outliers = [], []
    for places in (list(range(N)), order):
        rows = manifest.iloc[places].reset_index(drop=True)
        neighbours = find_neighbours(to_vectors(features[places]))
        pairs.append(find_duplicates(rows, features[places], neighbours, 0.999))
        outliers.append(find_outliers(rows, neighbours))
    for one, other in (pairs, outliers):
        assert set(one["path"]) == set(other["path"])
    (pair,) = pairs[1].to_dict("records")
    assert (pair["path"], pair["other_path"], pair["leak"]) == ("<b>rose/000.png", "tulip/001.png", True)
    assert outliers[1]["path"][0] == f"{CLASSES[ALIEN % 3]}/{ALIEN:03}.png"


def test_maps_that_differ_in_their_places_only_are_no_duplicates():
    manifest = make_manifest()
    features = make_features(manifest)
    features[OTHER] = features[TWIN][::-1, ::-1]
    neighbours = find_neighbours(to_vectors(features))
    assert (neighbours.similarities[TWIN, 0], neighbours.places[TWIN, 0]) == (pytest.approx(1), OTHER)
    assert find_duplicates(manifest, features, neighbours, 0.999).empty


def test_a_class_with_one_image_is_named(block, room):
    manifest = make_manifest()
    manifest.loc[[1], "label"] = "alone"
    with pytest.raises(ValueError, match=r"two images of each class .* fewer of \['alone'\]"):
        find(manifest, make_features(make_manifest()), block, room, 0, 0.95)


def test_a_rare_class_and_two_classes_are_scored_too(block, room):
    manifest = make_manifest()
    features = make_features(manifest)
    rare = manifest.assign(label=np.where(manifest.index.isin([1, 2]), "rare", "other"))
    found = find(rare, features, block, room, 0, 0.95)
    assert found.suspects["score"].between(0, 1).all()
    assert found.accuracy > 0.9


@pytest.mark.parametrize("n", [4, 6, 9])
def test_a_handful_of_images_is_looked_at_too(block, room, n):
    """As few as have two of each class in train and validation, and none in test."""
    manifest = make_manifest().iloc[:n].assign(label=np.resize(["a", "b"], n))
    manifest["split"] = np.resize(["train", "train", "validation", "validation"], n)
    found = find(manifest, make_features(make_manifest())[:n], block, room, 0, 0.95)
    assert found.n_images["test"] == 0
    assert len(found.suspects) <= n


def test_the_accuracy_without_what_leaked_is_that_of_the_other_test_images(repo):
    frame, facts = read_predictions(repo / "predictions/linear.parquet")
    test = frame[frame["split"] == "test"]
    scores = test.filter(like="y_score.").to_numpy()
    right = np.array(CLASSES)[scores.argmax(1)] == test["y_true"]
    for leaked in (set(test["key"][:7]), set()):
        ((row),) = measure_leakage({"linear": (frame, facts)}, leaked, 0.95)
        kept = right[~test["key"].isin(leaked)]
        assert (row["all"]["accuracy"], row["all"]["n"]) == (right.mean(), len(right))
        assert (row["without"]["accuracy"], row["without"]["n"]) == (kept.mean(), len(kept))
        assert row["without"]["low"] < kept.mean() < row["without"]["high"]


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("curated")
    manifest = make_manifest()
    features = make_features(manifest)
    manifest = flip(manifest, [12, 13, 20])
    write_manifest(manifest, root / "data/manifest.csv")
    manifest = manifest.sort_values("path")
    features = features[manifest.index]
    for folder in ("features", "images"):
        (root / "data" / folder).mkdir()
    write_features(root / "data/features/0.parquet", [(key, 0) for key in manifest["key"]], features, {})
    images = [encode(n) for n in range(N)]
    keys = [sha256(image).hexdigest() for image in images]
    pd.DataFrame({"key": keys, "image": images}).to_parquet(root / "data/images/0.parquet")
    shutil.copy(ROOT / "params.yaml", root)
    edit(root, {"linear.C": 0.1})
    (root / "edits.csv").write_text(",".join(COLUMNS) + "\n")
    kept = manifest[manifest["split"] != "train"].assign(seed=0)
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], len(kept)).astype(np.float32)
    write_predictions(root / "predictions/linear.parquet", kept, scores, CLASSES, {"seeds": [0]})
    return root


@pytest.fixture
def repo(built_once, tmp_path):
    return shutil.copytree(built_once, tmp_path / "repo")


def curate(repo, *options, status=0):
    done = CliRunner().invoke(app, ["curate", "--root", str(repo), *options])
    assert done.exit_code == status, done.output
    return done.output


def test_what_it_says_writes_and_shows(repo):
    said = curate(repo, "--similar", "0.999")
    suspects = pd.read_csv(repo / "reports/curation/suspects.csv")
    assert {f"{n:03}.png" for n in (12, 13, 20)} <= set(suspects["path"].str[-7:])
    assert f"{len(suspects)} labels of {N} may be wrong" in said
    assert "1 pair of images may be one, 1 of them across splits.\n1 image of test may be in train" in said
    assert re.search(r"linear, % of test: \d\d\.\d \(.*\) of 40; without these images .* of 39\n", said)
    (leak,) = pd.read_csv(repo / "reports/curation/duplicates.csv").to_dict("records")
    assert (leak["leak"], leak["split"], leak["other_split"]) == (True, "test", "train")
    html = (repo / "reports/curate.html").read_text(encoding="utf-8")
    parsed = Parsed(html)
    for label, path in zip(suspects["label"], suspects["path"], strict=True):
        assert f"image labelled {label}, {path}" in [one["alt"] for one in parsed.all("img")]
    assert "accuracies before and after are of different images" in parsed.words
    assert not {"script", "link", "iframe", "b"} & {
        tag for tag, _, stack in parsed.tags if stack[-1:] == ("bdi",)
    }
    assert all(one["src"].startswith("data:image/webp") for one in parsed.all("img"))
    assert all(one["href"].startswith("#") for one in parsed.all("a"))
    assert "http" not in html.replace("http-equiv", "")


def test_its_numbers_belong_to_what_it_looked_at(repo):
    curate(repo, "--similar", "0.999")
    found = read_values(repo, repo / "reports/curation")["findings"]
    assert (found["n_leaked"], found["leakage"][0]["method"]) == (1, "linear")
    (repo / "predictions/linear.parquet").write_bytes(b"another one")
    assert read_values(repo, repo / "reports/curation") == {}


def test_suggestions_are_added_once_and_nothing_else_is_touched(repo):
    file = repo / "edits.csv"
    reviewed = pd.read_csv(repo / "data/manifest.csv").set_index("path").loc["<b>rose/012.png", "key"]
    own = f'{",".join(COLUMNS)}\r\n{reviewed},keep,,<b>rose/012.png,"I looked, it is one"'
    file.write_bytes(own.encode())
    said = curate(repo, "--edits", "--similar", "0.999")
    edits, text = read_edits(file), file.read_bytes().decode()
    suspects = pd.read_csv(repo / "reports/curation/suspects.csv", index_col="key")
    assert reviewed not in suspects.index
    assert "1 image of edits.csv would be suggested, too." in said
    assert text.startswith(own)
    assert f"{len(edits) - 1} rows added" in said
    leaked = pd.read_csv(repo / "reports/curation/duplicates.csv").loc[0, "other_key"]
    assert edits.keys() == {reviewed, leaked, *suspects.index}
    assert {each.action for each in edits.values()} == {"keep"}
    assert {edits[key].label for key in suspects.index} <= set(CLASSES)
    assert "resembles" in edits[leaked].note or leaked in suspects.index
    assert "0 labels" in curate(repo, "--edits", "--similar", "0.999")
    assert file.read_bytes().decode() == text


def test_no_more_than_the_first_are_shown_and_suggested(repo):
    curate(repo, "--edits", "--top", "1", "--similar", "1")
    suspects = pd.read_csv(repo / "reports/curation/suspects.csv")
    assert [*read_edits(repo / "edits.csv")] == [suspects["key"][0]]
    assert (
        f"{len(suspects) - 1} more are in curation/suspects.csv"
        in Parsed((repo / "reports/curate.html").read_text(encoding="utf-8")).words
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda repo: shutil.rmtree(repo / "data/features"), "no features in .*run `dvc repro`"),
        (
            lambda repo: (repo / "data/manifest.csv").unlink(),
            "manifest.csv is missing: .*`dvc repro` makes it",
        ),
        (lambda repo: (repo / "edits.csv").write_text("a\n"), "edits.csv, line 1: expected key"),
        (lambda repo: (repo / "data/images/0.parquet").unlink(), "no image shards"),
        (lambda repo: edit(repo, {"linear.C": -1}), "linear.C"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(repo, damage, said):
    damage(repo)
    output = curate(repo, status=1)
    assert re.search(said, output)
    assert "Traceback" not in output


def test_predictions_of_other_images_are_left_out(repo):
    manifest = pd.read_csv(repo / "data/manifest.csv")
    manifest.loc[manifest["split"].eq("validation").idxmax(), "split"] = "test"
    write_manifest(manifest, repo / "data/manifest.csv")
    assert "the predictions of linear are of other test images, and left out" in curate(
        repo, "--similar", "0.999"
    )
    assert json.loads((repo / "reports/curation/findings.json").read_text())["values"]["leakage"] == []
