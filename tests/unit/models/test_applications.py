"""One contract for every row of params.yaml: an untrained application at its smallest legal size."""

import gc
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import imagenet_utils

from graft.config.features import BackboneRow
from graft.config.load import read_params
from graft.models.backbones import BackboneError, build_backbone, from_pixels, make_embedder, outline
from graft.models.freezing import STATISTICS, unfreeze
from graft.models.serialization import count_parameters, deployable, load_frozen, save_model
from helpers.repository import ROOT

FILE = ROOT / "params.yaml"
VALUES = read_params(FILE)["backbones"]
ROWS = {name: BackboneRow.model_validate(values) for name, values in VALUES.items()}
FIRST = {row.preprocessing: name for name, row in reversed(ROWS.items())}.values()  # of each module
CHANNELS = {
    "VGG16": 512, "VGG19": 512,
    "ResNet50": 2048, "ResNet101": 2048, "ResNet152": 2048,
    "ResNet50V2": 2048, "ResNet101V2": 2048, "ResNet152V2": 2048,
    "InceptionV3": 2048, "InceptionResNetV2": 1536, "Xception": 2048,
    "MobileNet": 1024, "MobileNetV2": 1280, "MobileNetV3Small": 576, "MobileNetV3Large": 960,
    "DenseNet121": 1024, "DenseNet169": 1664, "DenseNet201": 1920,
    "NASNetMobile": 1056, "NASNetLarge": 4032,
    "EfficientNetB0": 1280, "EfficientNetB1": 1280, "EfficientNetB2": 1408, "EfficientNetB3": 1536,
    "EfficientNetB4": 1792, "EfficientNetB5": 2048, "EfficientNetB6": 2304, "EfficientNetB7": 2560,
    "EfficientNetV2B0": 1280, "EfficientNetV2B1": 1280, "EfficientNetV2B2": 1408, "EfficientNetV2B3": 1536,
    "EfficientNetV2S": 1280, "EfficientNetV2M": 1280, "EfficientNetV2L": 1280,
    "ConvNeXtTiny": 768, "ConvNeXtSmall": 768, "ConvNeXtBase": 1024, "ConvNeXtLarge": 1536,
    "ConvNeXtXLarge": 2048,
}  # fmt: skip
SCALING = (keras.layers.Rescaling, keras.layers.Normalization)
MAPS = {"Xception": (3, 3)}  # all others: (1, 1)


def test_no_application_is_missing() -> None:
    exported = {name for name in dir(keras.applications) if name[0].isupper()}
    assert sorted(row.application for row in ROWS.values()) == sorted(exported)
    assert set(CHANNELS) == exported


def sizes(row: BackboneRow) -> tuple[int, int]:
    """Keras's default and smallest size of an application, from what it does with images too small."""
    defaults: list[int] = []
    obtain = imagenet_utils.obtain_input_shape

    def record(shape: object, default_size: int, *rest: object, **others: object) -> object:
        defaults.append(default_size)
        return obtain(shape, default_size, *rest, **others)

    too_small = row.model_copy(update={"image_size": 16})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenet_utils, "obtain_input_shape", record)
        with pytest.raises(BackboneError) as error:
            outline(too_small)
    smallest = re.search(r"image_size=16 does not suit .* at least (\d+)x\1", str(error.value))
    assert smallest
    # MobileNetV3 alone has it in prose: "Weights for input shape (224, 224) will be loaded".
    return defaults[0] if defaults else 224, int(smallest[1])


@pytest.mark.parametrize("name", ROWS)
def test_the_image_size_is_the_default(name: str) -> None:
    row = ROWS[name]
    published = {"vgg19": 64, "vgg16": 150}  # of the demo and of a published recipe
    assert row.image_size == published.get(name, sizes(row)[0])


@pytest.fixture(scope="module", params=ROWS)
def built(request: pytest.FixtureRequest) -> SimpleNamespace:
    """A backbone, the application in it, and what it makes of two images, there and back.

    To compile takes longer than all else, so of the applications of a module, which differ in size
    alone, only the first is compiled; the others run eagerly.
    """
    gc.collect()  # the one before
    name, row = request.param, ROWS[request.param]
    row = row.model_copy(update={"image_size": sizes(row)[1], "layer": None})
    backbone = build_backbone(row, "random", 0)
    application = backbone.get_layer(row.application.lower())
    pixels = (
        np.random.default_rng(0).integers(0, 256, (2, row.image_size, row.image_size, 3)).astype("float32")
    )
    prepared = getattr(keras.applications, row.preprocessing).preprocess_input(pixels.copy())
    tf.config.run_functions_eagerly(name not in FIRST)
    features = make_embedder(backbone, 2)(pixels[[0, 1, 1, 0]])
    tf.config.run_functions_eagerly(False)
    return SimpleNamespace(
        name=name,
        row=row,
        layer=ROWS[name].layer,
        backbone=backbone,
        application=application,
        pixels=pixels,
        prepared=prepared,
        maps=np.asarray(application(prepared, training=False)),
        features=features,
    )


class TestEveryRow:
    def test_shape(self, built: SimpleNamespace) -> None:
        shape = (*MAPS.get(built.row.application, (1, 1)), CHANNELS[built.row.application])
        assert built.backbone.input_shape == (None, built.row.image_size, built.row.image_size, 3)
        assert built.application.output_shape == (None, *shape)
        assert built.features.shape == (4, *(shape if built.row.pooling == "none" else shape[2:]))

    def test_its_layer_is_the_last_and_named_where_keras_does_not_number_it(
        self, built: SimpleNamespace
    ) -> None:
        last = built.application.layers[-1].name
        numbered = re.match("activation|layer_normalization", last)
        assert built.layer == (None if numbered else last)

    def test_features_are_finite_and_differ(self, built: SimpleNamespace) -> None:
        assert np.isfinite(built.features).all()
        assert (built.features[0] != built.features[1]).any()

    def test_a_row_does_not_depend_on_its_batch(self, built: SimpleNamespace) -> None:
        assert built.features[0].tobytes() == built.features[3].tobytes()
        assert built.features[1].tobytes() == built.features[2].tobytes()

    def test_it_is_preprocessing_then_the_application_then_pooling(self, built: SimpleNamespace) -> None:
        expected = built.maps if built.row.pooling == "none" else built.maps.mean((1, 2))
        atol = 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(built.features[:2], expected, rtol=1e-3, atol=atol)

    def test_preprocessing_is_its_own_and_there_once(self, built: SimpleNamespace) -> None:
        function = getattr(keras.applications, built.row.application)
        assert function.__module__ == f"keras.src.applications.{built.row.preprocessing}"
        inside = any(isinstance(layer, SCALING) for layer in built.application.layers)
        assert np.array_equal(built.prepared, built.pixels) == inside

    def test_it_survives_its_file(self, built: SimpleNamespace, tmp_path: Path) -> None:
        """The first of each module: those of one module differ in size alone."""
        if built.name not in FIRST:
            return
        for name in ("backbone", "again"):
            model = built.backbone if name == "backbone" else load_frozen(tmp_path / "backbone.keras")
            save_model(model, tmp_path / f"{name}.keras")
        assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "backbone.keras").read_bytes()
        expected = np.asarray(built.backbone(built.pixels, training=False))
        np.testing.assert_array_equal(model(built.pixels, training=False), expected)
        assert count_parameters(deployable(built.row.image_size, model))["trainable_params"] == 0

    def test_max_pooling(self, built: SimpleNamespace) -> None:
        pooled = from_pixels(built.application, built.row.model_copy(update={"pooling": "max"}))
        assert pooled.output_shape == (None, built.maps.shape[-1])
        assert pooled.layers[-2] is built.application
        np.testing.assert_array_equal(pooled.layers[-1](built.maps), built.maps.max((1, 2)))

    def test_batch_normalization_is_in_inference_mode(self, built: SimpleNamespace) -> None:
        assert built.backbone.trainable_weights == []
        named = unfreeze(built.backbone, [], 1)
        trained = [layer.name for layer in built.application.layers if layer.trainable_weights]
        assert trained == named
        nested = [layer for layer in built.application._flatten_layers() if isinstance(layer, STATISTICS)]
        assert not any(layer.trainable for layer in nested)
