"""One contract for every application: untrained, as params.yaml has a row of it, at its smallest size."""

import gc
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils

from graft.config.features import BackboneRow
from graft.config.load import read_params
from graft.models.backbones import Backbone, from_pixels, make_embedder, outline
from graft.models.freezing import STATISTICS, unfreeze
from graft.models.libraries.common import BackboneError
from graft.models.serialization import count_parameters, deployable, load_frozen, save_model
from helpers.repository import ROOT
from helpers.tiers import long_but_for

VALUES = read_params(ROOT / "params.yaml")["backbones"]
# A second row of an application, as anybody may add one; reversed, it comes before the first.
VALUES["vgg19_block4"] = VALUES["vgg19"] | {"layer": "block4_pool", "pooling": "max", "image_size": 32}
ROWS = [BackboneRow.model_validate(values) for values in reversed(VALUES.values()) if "library" not in values]
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
OTHER_SIZES = {"VGG19": 180, "VGG16": 150, "MobileNetV2": 128}  # of published recipes and of the demo


def module_of(application: str) -> str:
    return getattr(keras.applications, application).__module__.rpartition(".")[2]


# Of the applications of a module, which differ in size alone, the smallest stands for all.
SMALLEST = list({module_of(application): application for application in reversed(CHANNELS)}.values())
# One of each kind of preprocessing: before the application and in it.
QUICK = ("VGG16", "MobileNetV2", "MobileNetV3Small")


def rows_of(application: str) -> list[BackboneRow]:
    return [row for row in ROWS if row.application == application]


def row_of(application: str) -> BackboneRow:
    """A row of an application as a whole, with its own preprocessing, at its smallest legal size."""
    row = next(row for row in rows_of(application) if row.preprocessing == module_of(application))
    return row.model_copy(update={"image_size": sizes(row)[1], "layer": None})


def test_no_application_is_missing() -> None:
    exported = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {row.application for row in ROWS} == exported
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


@pytest.mark.parametrize("application", CHANNELS)
def test_a_row_has_the_default_image_size(application: str) -> None:
    rows = rows_of(application)
    assert OTHER_SIZES.get(application, sizes(rows[0])[0]) in {row.image_size for row in rows}


def random_pixels(row: BackboneRow) -> np.ndarray:
    """Two images."""
    shape = (2, row.image_size, row.image_size, 3)
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def prepare(row: BackboneRow, pixels: np.ndarray) -> np.ndarray:
    return getattr(keras.applications, row.preprocessing).preprocess_input(pixels.copy())


@pytest.fixture(scope="module", params=long_but_for(SMALLEST, [*CHANNELS]))
def outlined(request: pytest.FixtureRequest) -> SimpleNamespace:
    row = row_of(request.param)
    application = outline(row)
    return SimpleNamespace(row=row, application=application, backbone=from_pixels(application, row))


class TestOutline:
    """Every application, as a model without values; in `make test`, one of a family."""

    def test_shape(self, outlined: SimpleNamespace) -> None:
        row = outlined.row
        shape = (*MAPS.get(row.application, (1, 1)), CHANNELS[row.application])
        assert outlined.backbone.input_shape == (None, row.image_size, row.image_size, 3)
        assert outlined.application.output_shape == (None, *shape)
        assert outlined.backbone.output_shape == (None, *(shape if row.pooling == "none" else shape[2:]))

    def test_a_row_has_its_last_layer_and_names_it_where_keras_does_not_number_it(
        self, outlined: SimpleNamespace
    ) -> None:
        last = outlined.application.layers[-1].name
        numbered = re.match("activation|layer_normalization", last)
        assert (None if numbered else last) in {row.layer for row in rows_of(outlined.row.application)}

    def test_preprocessing_is_its_own_and_there_once(self, outlined: SimpleNamespace) -> None:
        pixels = random_pixels(outlined.row)
        inside = any(isinstance(layer, SCALING) for layer in outlined.application.layers)
        assert np.array_equal(prepare(outlined.row, pixels), pixels) == inside

    def test_batch_normalization_is_in_inference_mode(self, outlined: SimpleNamespace) -> None:
        named = unfreeze(outlined.backbone, [], 1)
        trained = [layer.name for layer in outlined.application.layers if layer.trainable_weights]
        assert trained == named
        nested = [layer for layer in outlined.application._flatten_layers() if isinstance(layer, STATISTICS)]
        assert not any(layer.trainable for layer in nested)


@pytest.fixture(scope="module", params=long_but_for(QUICK, SMALLEST))
def built(request: pytest.FixtureRequest) -> SimpleNamespace:
    """A backbone, the application in it, and what it makes of two images, there and back."""
    gc.collect()  # the one before
    row = row_of(request.param)
    backbone = Backbone(row, "random", 0).build()
    application = backbone.get_layer(row.application.lower())
    pixels = random_pixels(row)
    features = make_embedder(backbone, 2)(pixels[[0, 1, 1, 0]])
    maps = np.asarray(application(prepare(row, pixels), training=False))
    return SimpleNamespace(
        row=row, backbone=backbone, application=application, pixels=pixels, maps=maps, features=features
    )


class TestWithWeights:
    """One application of each family; in `make test`, a few."""

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

    def test_nothing_of_it_is_trained(self, built: SimpleNamespace) -> None:
        assert built.backbone.trainable_weights == []

    def test_max_pooling(self, built: SimpleNamespace) -> None:
        pooled = from_pixels(built.application, built.row.model_copy(update={"pooling": "max"}))
        assert pooled.output_shape == (None, built.maps.shape[-1])
        assert pooled.layers[-2] is built.application
        np.testing.assert_array_equal(pooled.layers[-1](built.maps), built.maps.max((1, 2)))

    def test_it_survives_its_file(self, built: SimpleNamespace, tmp_path: Path) -> None:
        for name in ("backbone", "again"):
            model = built.backbone if name == "backbone" else load_frozen(tmp_path / "backbone.keras")
            save_model(model, tmp_path / f"{name}.keras")
        assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "backbone.keras").read_bytes()
        expected = np.asarray(built.backbone(built.pixels, training=False))
        np.testing.assert_array_equal(model(built.pixels, training=False), expected)
        assert count_parameters(deployable(model))["trainable_params"] == 0
