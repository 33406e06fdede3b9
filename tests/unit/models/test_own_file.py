"""A backbone from anyone's own file: what is taken, what is refused, and what its fingerprint says."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from graft.config.features import BackboneRow
from graft.features.embedding import Embedding
from graft.models.backbones import Backbone, outline
from graft.models.libraries.common import BackboneError
from graft.utils.files import digest

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.float32)


def save(path: Path, size: int | None = 32, channels: int = 3, first: list[Any] | None = None) -> Path:
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((size, size, channels)),
        *(first or []),
        keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="convolution"),
        keras.layers.GlobalAveragePooling2D(name="pooled"),
        keras.layers.Dense(7, activation="softmax", name="classes"),
    ]
    keras.Sequential(layers).save(path)
    return path


def make_row(path: Path, **changes: Any) -> BackboneRow:
    values = {
        "library": "file",
        "application": str(path),
        "sha256": digest(path),
        "preprocessing": "rescale",
        "layer": "convolution",
        "pooling": "avg",
        "image_size": 32,
        "batch_size": 2,
    }
    return BackboneRow.model_validate(values | changes)


@pytest.mark.parametrize("size", [32, None])
@pytest.mark.parametrize(("layer", "pooling"), [("convolution", "avg"), ("pooled", "none")])
def test_it_is_the_model_up_to_the_layer(tmp_path: Path, size: int | None, layer: str, pooling: str) -> None:
    path = save(tmp_path / "mine.keras", size)
    backbone = Backbone(make_row(path, layer=layer, pooling=pooling), "file", 0).build()
    model = keras.saving.load_model(path)
    expected = keras.Model(model.inputs[0], model.get_layer("pooled").output)(PIXELS / 255)
    np.testing.assert_allclose(backbone(PIXELS), expected, rtol=1e-4, atol=1e-5)
    assert backbone.trainable_weights == []


def test_the_fingerprint_has_its_sha256_and_not_its_folder(tmp_path: Path) -> None:
    row = make_row(save(tmp_path / "mine.keras"))
    facts = Embedding(Backbone(row, "file", 0).build(), row, "file", "float32").fingerprint
    assert facts["sha256"] == row.sha256
    assert facts["application"] == "mine.keras"
    assert (facts["library"], facts["weights"], facts["pretrained"]) == ("file", "file", True)
    assert str(tmp_path) not in str(facts)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    row = make_row(save(tmp_path / "mine.keras"))
    save(tmp_path / "mine.keras", first=[keras.layers.Rescaling(1.0)])
    found = digest(tmp_path / "mine.keras")
    with pytest.raises(
        ValueError, match=rf"has sha256={found}, expected sha256={row.sha256}: if the file is"
    ):
        outline(row, "file")


@pytest.mark.parametrize(
    ("saved", "changes", "message"),
    [
        ({"size": 48}, {}, r"takes \[\(48, 48, 3\)\], expected one image of 32 x 32 pixels .*image_size=32"),
        ({"channels": 1}, {}, r"takes \[\(32, 32, 1\)\], expected one image .* 3 channels"),
        ({}, {"layer": "nowhere"}, r"layer='nowhere' is not in .*; its layers are .*convolution, pooled"),
        ({}, {"pooling": "cls"}, r"pooling=cls: .* gives maps .* set pooling to none or avg or max"),
        ({}, {"layer": "pooled"}, r"pooling=avg: .* gives vectors .* set pooling to none"),
        (
            {"first": [keras.layers.Rescaling(1 / 255, name="scale")]},
            {},
            r"preprocessing=rescale: .* scales pixels itself, in its layer 'scale'; set .* to none",
        ),
    ],
)
def test_a_model_that_does_not_suit(
    tmp_path: Path, saved: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    row = make_row(save(tmp_path / "mine.keras", **saved), **changes)
    with pytest.raises(BackboneError, match=message):
        Backbone(row, "file", 0).build()


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.keras", first=[keras.layers.Lambda(lambda x: x)])
    with pytest.raises(BackboneError, match="cannot be loaded by Keras in its safe mode, which runs no code"):
        Backbone(make_row(path), "file", 0).build()


def test_what_is_no_model_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "mine.keras").write_text("no model")
    with pytest.raises(BackboneError, match="cannot be loaded by Keras"):
        Backbone(make_row(tmp_path / "mine.keras"), "file", 0).build()
    row = make_row(save(tmp_path / "mine.keras"), application=str(tmp_path / "nowhere.keras"))
    with pytest.raises(ValueError, match=r"nowhere\.keras: expected the path of a \.keras file; it is none"):
        Backbone(row, "file", 0).build()


def test_it_computes_in_what_it_was_saved_with(tmp_path: Path) -> None:
    row = make_row(save(tmp_path / "mine.keras"))
    with pytest.raises(BackboneError, match="precision=bfloat16: the layers in a file compute in what they"):
        Backbone(row, "file", 0).build("bfloat16")


@pytest.mark.parametrize(
    ("library", "sha256", "weights", "message"),
    [
        ("file", None, "file", "library=file with sha256=None: expected the sha256 of the file"),
        ("applications", "0" * 64, "random", "library=applications with sha256=0+: expected"),
        (
            "file",
            "0" * 64,
            "random",
            "weights=random: a backbone of library=file has its weights in its file",
        ),
        ("applications", None, "file", "weights=file: .*received library=applications"),
    ],
)
def test_keys_that_contradict_each_other(
    tmp_path: Path, library: str, sha256: str | None, weights: str, message: str
) -> None:
    path = save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match=message):
        Backbone(make_row(path, library=library, sha256=sha256), weights, 0).build()
