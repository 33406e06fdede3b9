"""`graft backbones compare`: no test image is touched, nothing is done twice, what fails is a sentence."""

import shutil
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.paths import BACKBONES, IMAGES, MANIFEST, STORE
from graft.config.training import Linear
from graft.data.manifest import read_manifest, write_manifest
from graft.data.sharding import write_table
from graft.features.format import read_rows
from graft.tuning.backbones import Task, measure
from graft.utils.belonging import read_values
from helpers.repository import ROOT, edit

OTHER = "vgg16_block1"
SIZES = {"image_size": 32, "batch_size": 8}


@pytest.fixture(scope="module")
def laid(images, manifest, tmp_path_factory):
    """A repository with prepared images, of which those of the test split are not there."""
    root = tmp_path_factory.mktemp("compared")
    shutil.copy(ROOT / "params.yaml", root)
    changes = {"backbone": "vgg16", "weights": "random", "linear.C": 1.0, "features.precision": "float32"}
    changes |= {f"backbones.vgg16.{key}": value for key, value in (SIZES | {"layer": "block2_pool"}).items()}
    edit(root, changes)
    text = (root / "params.yaml").read_text(encoding="utf-8")
    row = {"application": "VGG16", "preprocessing": "vgg16", "layer": "block1_pool", "pooling": "avg"} | SIZES
    added = f"  {OTHER}: {row}\n".replace("'", "")
    (root / "params.yaml").write_text(f"{text.rstrip()}\n{added}", encoding="utf-8")
    write_manifest(manifest, root / MANIFEST)
    tested = set(manifest.loc[manifest["split"] == "test", "key"])
    for shard in images.glob("*.parquet"):
        table = pq.read_table(shard)
        kept = [key not in tested for key in table["key"].to_pylist()]
        (root / IMAGES).mkdir(parents=True, exist_ok=True)
        write_table(table.filter(kept), root / IMAGES / shard.name, 64)
    return root


def compare(root, *arguments):
    names = [argument for argument in arguments if not argument.startswith("-")]
    options = [argument for argument in arguments if argument.startswith("-")]
    return CliRunner().invoke(app, ["backbones", "compare", *names, *options, f"--root={root}"])


@pytest.fixture(scope="module")
def compared(laid):
    """The repository after one comparison, in which a name is wrong, and what that printed."""
    result = compare(
        laid, "vgg16", "vgg61", OTHER, f"--weights={OTHER}=random", f"--json={laid / 'all.json'}"
    )
    return SimpleNamespace(root=laid, result=result, measured=read_values(laid, BACKBONES))


def stored(root):
    """The keys that each fingerprint has in the store."""
    folders = [folder for folder in (root / STORE).iterdir() if folder.is_dir()]
    return [sorted(key for file in each.glob("*.parquet") for key, _ in read_rows(file)) for each in folders]


def test_each_image_of_train_and_validation_is_embedded_once_and_no_other(compared, manifest):
    seen = sorted(manifest.loc[manifest["split"] != "test", "key"])
    assert stored(compared.root) == [seen, seen]
    assert {row["embedded"] for row in compared.measured.values()} == {len(seen)}
    assert all(row["images_per_second"] > 0 for row in compared.measured.values())
    assert {len(row["right"]) for row in compared.measured.values()} == {len(seen)}


def test_what_cannot_be_had_is_a_sentence_and_the_others_are_compared(compared):
    assert compared.result.exit_code == 1
    assert "vgg61: no such row of `backbones` in params.yaml; there is vgg" in compared.result.stderr
    assert "not compared: vgg61\n" in compared.result.stderr
    assert compared.measured.keys() == {"vgg16", OTHER}
    assert "take it: graft run -S backbone=" in compared.result.stdout


def test_the_stage_then_embeds_only_test_images(compared, images, manifest, backbone, row, tmp_path):
    from graft.features.embedding import Embedding
    from graft.features.extraction import extract
    from graft.features.format import plain_rows

    store = shutil.copytree(compared.root / STORE, tmp_path / "store")
    embedding = Embedding(backbone, row, "random", "float32")
    counts = extract(images, plain_rows(manifest), embedding, store, None, tmp_path / "features")
    n_test = int((manifest["split"] == "test").sum())
    assert (counts["embedded"], counts["from_store"]) == (n_test, len(manifest) - n_test)


def test_what_was_measured_stays_until_something_changes(compared, tmp_path):
    root = shutil.copytree(compared.root, tmp_path / "repo")
    before = {file: file.stat().st_mtime_ns for file in (root / BACKBONES).iterdir()}
    again = compare(root, "vgg16", OTHER, f"--weights={OTHER}=random")
    assert again.exit_code == 0
    assert again.stdout.count("measured before") == 2
    assert {file: file.stat().st_mtime_ns for file in (root / BACKBONES).iterdir()} == before
    edit(root, {"linear.C": 0.1})
    changed = compare(root, "vgg16")
    assert "vgg16: 0 of 30 images embedded" in changed.stdout
    assert read_values(root, BACKBONES)["vgg16"]["images_per_second"] is None
    assert OTHER not in changed.stdout  # it was measured with another C
    rows = read_manifest(root / MANIFEST)
    write_manifest(rows.assign(path="x" + rows["path"]), root / MANIFEST)
    assert read_values(root, BACKBONES) == {}


def test_an_interrupted_embedding_goes_on_where_it_was(compared, tmp_path, manifest, params):
    from graft.features.engines.keras import KERAS

    root = shutil.copytree(compared.root, tmp_path / "repo")
    shutil.rmtree(root / STORE)
    values = {**dict(params), **dict(params.features), "linear": Linear(**dict(params.linear) | {"C": 1.0})}
    seen = manifest[manifest["split"] != "test"].sample(frac=1, random_state=0)
    task = Task(root, None, seen, SimpleNamespace(**values), KERAS, "float32")
    told = []

    def interrupt(n):
        told.append(n)
        if sum(told) >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure("vgg16", "random", task, interrupt)
    kept = len(stored(root)[0])
    assert 8 <= kept < len(seen)
    row = measure("vgg16", "random", task, lambda _: None)
    assert row["embedded"] == len(seen) - kept
    assert row["right"] == compared.measured["vgg16"]["right"]  # the manifest's order is no matter


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vgg16", "--weights=vgg19=random"], "expected NAME=WEIGHTS, with NAME one of vgg16"),
        (["vgg16", "--weights=random"], "expected NAME=WEIGHTS"),
        ([OTHER, f"--weights={OTHER}=no_such.h5"], f"{OTHER}: weights=no_such.h5 is no file"),
        ([OTHER, f"--weights={OTHER}=bundled"], f"{OTHER}: weights=bundled: expected a backbone that has"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments, said, compared):
    result = compare(compared.root, *arguments)
    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_without_prepared_images_it_says_what_to_run(tmp_path):
    result = compare(tmp_path, "vgg16")
    assert result.exit_code == 1
    assert "run `dvc repro split` first" in result.stderr


def test_all_numbers_go_to_a_file(compared):
    rows = pd.read_json(compared.root / "all.json")["backbones"]
    assert [row["backbone"] for row in rows] == sorted(
        compared.measured, key=lambda name: -sum(map(int, compared.measured[name]["right"]))
    )
