"""`graft predict`: every image has its row, in every form, whatever the others are."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import graft
from graft.cli.main import app
from graft.data.decoding import read_images
from graft.data.tta import NEUTRAL
from graft.serving.sources import Source
from graft.serving.stream import AHEAD, predict_stream
from graft.serving.writers import printable

runner = CliRunner()
BROKEN = {"empty.jpg": b"", "text.png": b"no image"}


@pytest.fixture(scope="module")
def photos(images: Path, manifest: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 40 images, and two files that are none."""
    folder = tmp_path_factory.mktemp("photos")
    for key, data in read_images(images, list(manifest["key"])).items():
        (folder / f"{key[:8]}.jpg").write_bytes(data)
    for name, data in BROKEN.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def model(trained: Any) -> Any:
    return trained["two_stage"].model


def predict(*arguments: object, code: int = 0, stdin: bytes | None = None) -> Any:
    result = runner.invoke(app, ["predict", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return result


def test_each_form_says_the_same_in_the_order_of_the_images(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    csv, js, parquet = (tmp_path / f"out.{kind}" for kind in ("csv", "json", "parquet"))
    forms = ("--csv", csv, "--json", js, "--parquet", parquet)
    result = predict(photos, "--model", model, *forms, "--embeddings", code=1)
    assert (result.stdout, result.stderr) == ("", "2 of 42 images could not be read\n")
    tables = [pd.read_csv(csv), pd.read_json(js), pd.read_parquet(parquet)]
    good = sorted(str(path) for path in photos.iterdir() if path.name not in BROKEN)
    expected = graft.load(model).predict(good)
    for table in tables:
        assert list(table["path"]) == sorted(str(path) for path in photos.iterdir())
        read = table[table["error"].isna()].reset_index(drop=True)
        assert list(read["label"]) == list(expected["label"])
        found, wanted = read[expected.columns[2:]].to_numpy(float), expected.iloc[:, 2:].to_numpy(float)
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        broken = table[table["error"].notna()]
        assert list(broken["error"]) == ["empty file", "not an image (JPEG, PNG, GIF, BMP or WEBP)"]
        assert broken[expected.columns[1:]].isna().all(axis=None)
    lengths = {len(one) for one in tables[2]["embedding"] if one is not None}
    assert lengths == {128}
    assert sum(one is None for one in tables[2]["embedding"]) == 2
    np.testing.assert_allclose(tables[1]["embedding"][0], tables[2]["embedding"][0], atol=1e-5)
    assert not list(tmp_path.glob("*.partial"))


def test_views_are_of_the_card_else_of_the_repository(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = sorted(photos.glob("[0-9]*.jpg"))[:5]
    arguments = ("--model", model, "--csv", "-", "--tta", 2)
    refused = predict(*paths, *arguments, code=1).stderr
    assert "--tta=2 needs an augmentation, on the model's card or in a repository (--root)" in refused
    augmentation = {**NEUTRAL, "rotation": 0.5}
    (tmp_path / "params.yaml").write_text(json.dumps({"augmentation": augmentation}))
    found = pd.read_csv(BytesIO(predict(*paths, *arguments).stdout.encode()))
    classifier = graft.load(model)
    expected = classifier.predict(paths, tta=2, augmentation={"rotation": 0.5})
    np.testing.assert_allclose(found[classifier.classes], expected[classifier.classes], atol=2e-6)
    plain = classifier.predict(paths)
    assert not np.allclose(plain[classifier.classes], expected[classifier.classes], atol=1e-4)
    pd.testing.assert_frame_equal(classifier.predict(paths, tta=0), plain)
    with pytest.raises(ValueError, match="tta=2: the model's card has no augmentation; say it, such as"):
        classifier.predict(paths, tta=2)
    classifier.card["augmentation"] = augmentation
    pd.testing.assert_frame_equal(classifier.predict(paths, tta=2), expected)


def test_lines_for_people(photos: Path, model: Path) -> None:
    lines = predict(photos, "--model", model, "--top", 2, code=1).stdout.splitlines()
    assert lines[0].split() == ["label", "score", "%", "label", "score", "%", "path"]
    assert len(lines) == 43
    (broken,) = [line for line in lines if "text.png" in line]
    assert broken.endswith("text.png: not an image (JPEG, PNG, GIF, BMP or WEBP)")
    first = next(line for line in lines[1:] if "empty" not in line).split()
    assert float(first[1]) >= float(first[3])
    assert all(len(line.split()) == 5 for line in lines[1:] if "empty" not in line and "text" not in line)


def test_an_archive_and_a_list_give_what_the_folder_gives(photos: Path, model: Path, tmp_path: Path) -> None:
    names = sorted(path for path in photos.iterdir() if path.name not in BROKEN)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in names:
            archive.write(path, path.name)
    listed = predict("-", "--model", model, "--csv", "-", stdin="\n".join(map(str, names)).encode()).stdout
    zipped = predict(tmp_path / "a.zip", "--model", model, "--csv", "-").stdout
    assert zipped.replace(str(tmp_path / "a.zip"), str(photos)) == listed
    assert len(pd.read_csv(BytesIO(listed.encode()))) == 40


def test_the_method_of_the_report_is_the_default(trained: Any, photos: Path, tmp_path: Path) -> None:
    root = trained["linear"].model.parents[2]
    assert "or give --model FILE" in predict(photos, "--root", root, code=1).stderr  # it has no metrics
    assert (
        "--method='svm': expected one of linear,"
        in predict(photos, "--root", root, "--method", "svm", code=1).stderr
    )
    predict(next(photos.glob("[0-9]*.jpg")), "--root", root, "--method", "linear")
    (tmp_path / "metrics").mkdir()
    rows = [{"method": method, "validation_accuracy": 0.9} for method in ("linear", "inline")]
    (tmp_path / "metrics/comparison.json").write_text(json.dumps({"methods": rows}))
    for method, loss in (("linear", 0.4), ("inline", 0.3)):
        (tmp_path / f"metrics/{method}.json").write_text(json.dumps({"validation": {"log_loss": loss}}))
    assert "models/inline/model.keras does not exist" in predict(photos, "--root", tmp_path, code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jpg"], "1 of 1 images could not be read"),
        (["."], "no image in ."),
        (["x.jpg", "--embeddings"], "--embeddings needs a place"),
        (["x.jpg", "--csv", "no/folder/out.csv"], "the predictions cannot be written: .*No such file"),
        (["x.jpg", "--csv", "/dev/full"], "the predictions cannot be written"),
    ],
)
def test_errors_are_sentences(
    arguments: list[str], message: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = predict(*arguments, "--model", model, code=1)
    assert not list(tmp_path.iterdir())
    assert re.search(message, result.stderr), result.stderr


def test_a_model_without_a_backbone_has_no_embeddings(trained: Any, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.parquet"
    arguments = ("--model", trained["scratch"].model, "--embeddings", "--parquet", file)
    assert "this model has no backbone" in predict(photos, *arguments, code=1).stderr
    assert not list(tmp_path.iterdir())


def test_no_more_images_are_read_than_are_needed_ahead(trained: Any, photos: Path) -> None:
    data = next(photos.glob("[0-9]*.jpg")).read_bytes()
    taken = SimpleNamespace(n=0)

    def endless() -> Any:
        while True:
            taken.n += 1
            yield Source(f"{taken.n}.jpg", lambda: data)

    model = graft.load(trained["scratch"].model)
    stream = predict_stream(model, endless())
    for answered in range(1, 9):
        assert len(next(stream).table) == 16
        assert taken.n <= 16 * answered + AHEAD
    stream.close()


def test_a_name_cannot_steer_the_terminal() -> None:
    assert printable("ä b\x1b]0;title\x07\n") == r"ä b\x1b]0;title\x07\n"
