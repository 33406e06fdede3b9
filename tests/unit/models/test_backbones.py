"""Backbones: published sizes, preprocessing inside, weights that fit or a clear error."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cpuinfo
import h5py
import keras
import numpy as np
import psutil
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras.src.applications import efficientnet, mobilenet_v3
from keras.src.legacy.saving import legacy_h5_format

from graft.config.features import HAVE_BUNDLED, BackboneRow, Precision, backbone_facts, weights_name
from graft.config.load import read_params
from graft.config.training import Head
from graft.methods.params import parse_params
from graft.models.backbones import Backbone, from_pixels, make_embedder, outline
from graft.models.heads import build_head
from graft.models.libraries.common import BackboneError
from graft.models.serialization import count_parameters, deployable, weights_sha256
from helpers.repository import ROOT

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3)).astype(np.float32)
NEVER = "http://127.0.0.1:9/"  # the discard port: nobody listens
IMAGENET_FILE = "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"  # as Keras calls it


def make_row(application: str = "VGG16", **changes: Any) -> BackboneRow:
    """A row of params.yaml at 32 pixels."""
    preprocessing = {"VGG16": "vgg16", "VGG19": "vgg19", "MobileNetV2": "mobilenet_v2"}.get(application, "")
    layer = {"MobileNetV2": "block_3_expand_relu"}.get(application, "block2_pool")
    values = {
        "application": application,
        "preprocessing": preprocessing,
        "layer": layer,
        "pooling": "none",
        "image_size": 32,
        "batch_size": 8,
    }
    return BackboneRow.model_validate({**values, **changes})


def n_parameters(model: keras.Model) -> int:
    return count_parameters(model)["total_params"]


@pytest.fixture(scope="module")
def vgg19() -> keras.Model:
    return Backbone(make_row("VGG19", layer="block5_pool", image_size=180), "random", 0).build()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of weights files of two applications without their tops, in both formats of Keras."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("VGG16", "MobileNetV2"):
        keras.utils.set_random_seed(7)
        model = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(32, 32, 3))
        model.save_weights(folder / f"{name}.weights.h5")
    (folder / "text.weights.h5").write_text("no weights\n")
    return folder


@pytest.fixture(scope="module")
def original(weights: Path) -> keras.Model:
    """The model whose weights a server of `weights` gives for those of ImageNet."""
    keras.utils.set_random_seed(7)
    model = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(224, 224, 3))
    with h5py.File(weights / IMAGENET_FILE, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return model


@pytest.fixture
def server(weights: Path) -> Iterator[str]:
    """The address of a real server of `weights`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=weights)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras's cache. Keras reads `KERAS_HOME` once, at its import, so the place it keeps is changed."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    return tmp_path


class TestSizes:
    def test_vgg19_at_180(self, vgg19: keras.Model) -> None:
        assert n_parameters(vgg19) == 20_024_384
        assert vgg19.output_shape == (None, 5, 5, 512)
        assert count_parameters(vgg19)["trainable_params"] == 0

    def test_vgg16_at_150(self) -> None:
        backbone = Backbone(make_row(layer="block5_pool", image_size=150), "random", 0).build()
        assert n_parameters(backbone) == 14_714_688
        assert backbone.output_shape == (None, 4, 4, 512)

    @pytest.mark.parametrize(
        ("dense", "n_classes", "expected"),
        [((256, 128), 2, 3_310_081), ((256, 128, 64), 2, 3_318_273), ((256, 128, 64), 5, 3_318_533)],
    )
    def test_the_published_heads(self, dense: tuple[int, ...], n_classes: int, expected: int) -> None:
        params = Head(pooling="flatten", normalise="none", dense=dense, batch_norm=False, dropout=0.5, l2=0)
        assert n_parameters(build_head((5, 5, 512), n_classes, params, None, 0)) == expected

    def test_the_published_inline_model(self, vgg19: keras.Model) -> None:
        params = Head(
            pooling="flatten", normalise="none", dense=(256, 128, 64), batch_norm=False, dropout=0.5, l2=0
        )
        head = build_head((5, 5, 512), 2, params, None, 0)
        expected = {"total_params": 23_342_657, "trainable_params": 3_318_273}
        assert count_parameters(deployable(vgg19, head)) == expected


class TestPreprocessing:
    @pytest.mark.parametrize(("application", "module"), [("VGG19", "vgg19"), ("MobileNetV2", "mobilenet_v2")])
    def test_it_is_inside_the_backbone(self, application: str, module: str) -> None:
        backbone = Backbone(make_row(application), "random", 0).build()
        plain = backbone.get_layer(application.lower())
        prepared = getattr(keras.applications, module).preprocess_input(PIXELS.copy())
        np.testing.assert_allclose(backbone(PIXELS), plain(prepared), rtol=1e-4, atol=1e-4)

    def test_vgg_is_bgr_minus_the_mean_of_imagenet(self, backbone: keras.Model) -> None:
        shifted = PIXELS[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
        np.testing.assert_allclose(
            backbone(PIXELS), backbone.get_layer("vgg16")(shifted), rtol=1e-4, atol=1e-3
        )

    def test_rescale(self) -> None:
        backbone = Backbone(make_row(preprocessing="rescale"), "random", 0).build()
        np.testing.assert_allclose(backbone(PIXELS), backbone.get_layer("vgg16")(PIXELS / 255), atol=1e-4)

    def test_pixels_are_left_as_they_were(self, embed: Any) -> None:
        before = PIXELS.copy()
        embed(PIXELS)
        assert (before == PIXELS).all()


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_pooling(backbone: keras.Model, pooling: str, reduce: Any) -> None:
    maps = backbone(PIXELS)
    vectors = Backbone(make_row(pooling=pooling), "random", 0).build()(PIXELS)
    np.testing.assert_allclose(vectors, reduce(np.asarray(maps), axis=(1, 2)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"application": "VGG99", "preprocessing": "vgg16"},
            r"application='VGG99' is not in keras\.applications.*, VGG19",
        ),
        (
            {"application": "vgg16", "preprocessing": "vgg16"},
            r"application='vgg16' is not in keras\.applications.*VGG16, VGG19",
        ),
        (
            {"preprocessing": "vgg"},
            r"preprocessing='vgg' is unknown; choose rescale, none, .*symmetric or one of .*vgg16, vgg19",
        ),
        ({"layer": "block9"}, r"layer='block9' is not in VGG16; its layers are .*block2_pool, .*block5_pool"),
        ({"image_size": 16}, r"image_size=16 does not suit VGG16: .*at least 32"),
    ],
)
def test_a_row_that_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    row = make_row(**changes)
    with pytest.raises(BackboneError, match=message):
        Backbone(row, "random", 0).build()
    with pytest.raises(BackboneError, match=message):
        outline(row)


class TestRandomWeights:
    def test_they_depend_on_the_seed_alone(self, backbone: keras.Model) -> None:
        again, other = (weights_sha256(Backbone(make_row(), "random", seed).build()) for seed in (0, 1))
        assert weights_sha256(backbone) == again
        assert again != other

    def test_they_do_not_depend_on_where_the_application_ends(self) -> None:
        short, long = (
            Backbone(make_row(layer=layer), "random", 1).build() for layer in ("block1_pool", "block2_pool")
        )
        for a, b in zip(short.weights, long.weights, strict=False):
            np.testing.assert_array_equal(a, b)

    def test_they_are_he_normal(self) -> None:
        backbone = Backbone(make_row(layer="block3_pool"), "random", 0).build()
        kernels = [w.numpy() for w in backbone.weights if len(w.shape) == 4]
        assert len(kernels) == 7
        for kernel in kernels[1:]:
            assert kernel.std() == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:3])), rel=0.03)
            assert abs(kernel.mean()) < 0.01
        assert not any(w.numpy().any() for w in backbone.weights if len(w.shape) == 1)
        equal = [
            a for a in kernels for b in kernels if a is not b and (a.ravel()[:99] == b.ravel()[:99]).all()
        ]
        assert not equal

    def test_they_are_called_what_they_are(self) -> None:
        expected = {"backbone": "vgg19", "weights": "random", "pretrained": False}
        assert backbone_facts("vgg19", "random") == expected


class TestWeightsFile:
    @pytest.mark.parametrize("application", ["VGG16", "MobileNetV2"])
    def test_it_is_loaded(self, weights: Path, application: str) -> None:
        path = weights / f"{application}.weights.h5"
        original = getattr(keras.applications, application)(
            include_top=False, weights=str(path), input_shape=(32, 32, 3)
        )
        row = make_row(application)
        expected = keras.Model(original.input, original.get_layer(row.layer).output)
        assert weights_sha256(Backbone(row, str(path), 0).build()) == weights_sha256(expected)
        assert backbone_facts("b", str(path)) == {
            "backbone": "b",
            "weights": path.name,
            "pretrained": True,
        }

    def test_its_folder_is_not_named(self) -> None:
        assert weights_name("/home/me/w.h5") == "w.h5"

    @pytest.mark.parametrize(
        ("application", "file"),
        [
            ("VGG16", "MobileNetV2.weights.h5"),
            ("MobileNetV2", "VGG16.weights.h5"),
            ("VGG19", "VGG16.weights.h5"),
            ("VGG16", "text.weights.h5"),
        ],
    )
    def test_of_another_architecture(self, weights: Path, application: str, file: str) -> None:
        message = rf"weights=.*{file} do not fit {application} without its top: ."
        with pytest.raises(BackboneError, match=message):
            Backbone(make_row(application), str(weights / file), 0).build()

    def test_legacy_format(self, tmp_path: Path) -> None:
        """Keras's own ImageNet files are of the older HDF5 format."""
        model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
        with h5py.File(tmp_path / "old.h5", "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)
        built = Backbone(make_row(layer="block5_pool"), str(tmp_path / "old.h5"), 0).build()
        assert weights_sha256(built) == weights_sha256(model)
        with pytest.raises(BackboneError, match=r"old\.h5 do not fit MobileNetV2 without its top: ."):
            Backbone(make_row("MobileNetV2"), str(tmp_path / "old.h5"), 0).build()

    @pytest.mark.parametrize(
        ("name", "value"), [("VGG16.weights.h5", np.nan), ("VGG16.keras", np.inf), ("old.h5", np.nan)]
    )
    def test_with_a_value_that_is_no_number(self, tmp_path: Path, name: str, value: float) -> None:
        keras.utils.set_random_seed(7)
        model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
        kernel = model.get_layer("block2_conv1").kernel
        values = kernel.numpy()
        values[1, 1, 3, 5] = value
        kernel.assign(values)
        if name == "old.h5":
            with h5py.File(tmp_path / name, "w") as file:
                legacy_h5_format.save_weights_to_hdf5_group(file, model)
        else:
            (model.save if name.endswith(".keras") else model.save_weights)(tmp_path / name)
        with pytest.raises(BackboneError, match=rf"{name}: block2_conv1/kernel has 1 values that are NaN or"):
            Backbone(make_row(), str(tmp_path / name), 0).build()

    def test_that_does_not_exist(self, tmp_path: Path) -> None:
        message = (
            r"weights=.*nowhere\.h5 is no file; expected bundled, imagenet, random or the path of a .*file"
        )
        with pytest.raises(BackboneError, match=message):
            Backbone(make_row(), str(tmp_path / "nowhere.h5"), 0).build()


class TestBundledWeights:
    ROW = make_row("MobileNetV2", layer="out_relu", pooling="avg")
    # Of keras.applications.MobileNetV2 with the same release's weights, read without graft.
    SHA256 = "bd55be3761d5ca09ba9a39faa2fc16fa3d5814f98fa27212ba8009e88db315d5"

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    @pytest.mark.parametrize("image_size", [32, 128])
    def test_they_are_the_same_to_the_bit(self, precision: Precision, image_size: int) -> None:
        row = self.ROW.model_copy(update={"image_size": image_size})
        assert weights_sha256(Backbone(row, "bundled", 0).build(precision)) == self.SHA256

    def test_a_model_that_ends_earlier_has_the_same_ones(self) -> None:
        short, long = (
            Backbone(self.ROW.model_copy(update={"layer": layer}), "bundled", 0).build()
            for layer in ("block_3_expand_relu", "out_relu")
        )
        for a, b in zip(short.weights, long.weights, strict=False):
            np.testing.assert_array_equal(a, b)

    def test_batch_normalisation_adds_its_bias_and_nothing_else(self) -> None:
        (application,) = (
            layer
            for layer in Backbone(self.ROW, "bundled", 0).build().layers
            if isinstance(layer, keras.Model)
        )
        layers = [layer for layer in application.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert len(layers) == 52
        for layer in layers:
            x = np.linspace(-3, 3, 5 * layer.beta.shape[0], dtype=np.float32).reshape(5, 1, 1, -1)
            np.testing.assert_allclose(layer(x, training=False), x + layer.beta.numpy(), rtol=1e-6, atol=1e-6)

    def test_they_are_pre_trained(self) -> None:
        expected = {"backbone": "mobilenet_v2", "weights": "bundled", "pretrained": True}
        assert backbone_facts("mobilenet_v2", "bundled") == expected

    def test_another_application_has_none_and_is_refused_before_it_is_built(self) -> None:
        row = make_row("VGG19", layer="nowhere")
        with pytest.raises(
            ValueError, match=r"bundled weights \(mobilenet_v2\), received application='VGG19'; set backbone"
        ):
            Backbone(row, "bundled", 0).build()

    def test_the_backbones_that_are_said_to_have_them_do(self) -> None:
        rows = read_params(ROOT / "params.yaml")["backbones"]
        assert {name: rows[name]["application"] for name in HAVE_BUNDLED} == HAVE_BUNDLED


class TestImagenet:
    """Keras's own download, of a file made here: the address and the checksum are constants in Keras."""

    ROW = make_row("MobileNetV3Small", preprocessing="mobilenet_v3", layer=None, image_size=224)

    @pytest.fixture(autouse=True)
    def published(
        self, weights: Path, original: keras.Model, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert original.count_params() < 1e6
        md5 = hashlib.md5((weights / IMAGENET_FILE).read_bytes()).hexdigest()
        monkeypatch.setattr("keras.src.applications.mobilenet_v3.BASE_WEIGHT_PATH", f"{server}/")
        monkeypatch.setitem(mobilenet_v3.WEIGHTS_HASHES, "small_224_1.0_float", ("", md5))

    def test_it_is_fetched_once(
        self, original: keras.Model, keras_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = weights_sha256(original)
        assert weights_sha256(Backbone(self.ROW, "imagenet", 0).build()) == expected
        assert (keras_home / "models" / IMAGENET_FILE).is_file()
        monkeypatch.setattr("keras.src.applications.mobilenet_v3.BASE_WEIGHT_PATH", NEVER)
        assert weights_sha256(Backbone(self.ROW, "imagenet", 1).build("bfloat16")) == expected

    @pytest.mark.usefixtures("keras_home")
    @pytest.mark.long
    def test_a_wrong_checksum(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(mobilenet_v3.WEIGHTS_HASHES, "small_224_1.0_float", ("", "0" * 32))
        for _ in range(2):  # Keras keeps the file; the next run must not take it for the right one
            with pytest.raises(
                BackboneError, match=rf"those of MobileNetV3Small: .*{'0' * 32}.* -S weights="
            ):
                Backbone(self.ROW, "imagenet", 0).build()

    @pytest.mark.long
    @pytest.mark.parametrize("address", [NEVER, "{server}/nowhere/"])
    def test_a_host_that_does_not_give_it(
        self, address: str, server: str, keras_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = address.format(server=server)
        monkeypatch.setattr("keras.src.applications.mobilenet_v3.BASE_WEIGHT_PATH", address)
        message = (
            "weights=imagenet: could not get those of MobileNetV3Small: URL fetch failure on "
            rf"{address}{IMAGENET_FILE}: .*give its path: -S weights=PATH"
        )
        with pytest.raises(BackboneError, match=message):
            Backbone(self.ROW, "imagenet", 0).build()
        assert not (keras_home / "models" / IMAGENET_FILE).exists()

    @pytest.mark.parametrize("key", ["application", "preprocessing", "layer"])
    def test_a_row_is_checked_before_the_download(self, key: str, keras_home: Path) -> None:
        with pytest.raises(BackboneError, match=f"{key}='wrong' is "):
            Backbone(self.ROW.model_copy(update={key: "wrong"}), "imagenet", 0).build()
        assert not (keras_home / "models").exists()

    @pytest.mark.usefixtures("keras_home")
    def test_at_another_size(self) -> None:
        """Keras has weights of the MobileNets for a few sizes, and says which it takes at another one."""
        row = self.ROW.model_copy(update={"image_size": 96})
        with pytest.warns(UserWarning, match=r"Weights for input shape \(224, 224\) will be loaded"):
            Backbone(row, "imagenet", 0).build()


@pytest.mark.long
def test_efficientnet_has_the_scaling_that_keras_gives_it_for_imagenet_only(
    weights: Path, server: str, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, shape = "efficientnetb0_notop.h5", (64, 64, 3)
    model = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=shape)
    with h5py.File(weights / name, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    md5 = hashlib.md5((weights / name).read_bytes()).hexdigest()
    monkeypatch.setattr("keras.src.applications.efficientnet.BASE_WEIGHTS_PATH", f"{server}/")
    monkeypatch.setitem(efficientnet.WEIGHTS_HASHES, "b0", ("", md5))
    row = make_row("EfficientNetB0", preprocessing="efficientnet", layer=None, image_size=64)
    backbone = Backbone(row, "imagenet", 0).build()
    keras_own = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=shape)
    images = np.random.default_rng(0).uniform(0, 255, (2, *shape)).astype(np.float32)
    expected = np.asarray(keras_own(images, training=False))
    np.testing.assert_allclose(backbone(images, training=False), expected, atol=1e-6 * expected.max())
    assert np.abs(np.asarray(model(images, training=False)) - expected).max() > 0.1 * expected.max()
    with pytest.raises(BackboneError, match=r"gives EfficientNetB0 one layer more .* set weights to"):
        Backbone(row, str(keras_home / "models" / name), 0).build()


def test_a_second_row_of_an_application_is_a_backbone_of_its_own() -> None:
    """As in CONTRIBUTING: vgg19 at 224 pixels beside vgg19, and both selectable in one params.yaml."""
    values = read_params(ROOT / "params.yaml")
    values["backbones"]["vgg19_224"] = values["backbones"]["vgg19"] | {"image_size": 224}
    values |= {"backbone": "vgg19_224", "weights": "random"}
    rows = {name: row for name, row in parse_params(values).backbones.items() if "vgg19" in name}
    shapes = {name: from_pixels(outline(row), row).output_shape for name, row in rows.items()}
    assert shapes == {"vgg19": (None, 5, 5, 512), "vgg19_224": (None, 7, 7, 512)}
    assert rows["vgg19"].facts() == values["backbones"]["vgg19"]  # no key is added to a fingerprint
    assert rows["vgg19_224"].facts() != rows["vgg19"].facts()


def test_names_that_keras_numbers_depend_on_the_row_alone() -> None:
    row = make_row("InceptionV3", preprocessing="inception_v3", layer="activation_3", image_size=75)
    names = [[layer.name for layer in outline(row).layers] for _ in range(2)]
    names.append([layer.name for layer in Backbone(row, "random", 0).build().get_layer("inceptionv3").layers])
    assert names[0] == names[1] == names[2]
    assert names[0][-1] == "activation_3"


@pytest.mark.long
def test_an_outline_takes_no_memory() -> None:
    """The weights of this one would take 1.4 GB, also if Keras made up for them at the next layer."""
    before = psutil.Process().memory_info().rss
    model = outline(make_row("ConvNeXtXLarge", preprocessing="convnext", layer=None))
    keras.layers.Dense(1)(keras.Input((1,)))
    assert model.count_params() > 3e8
    assert psutil.Process().memory_info().rss - before < 2e8


def test_the_sha256_of_weights_changes_with_one_number() -> None:
    backbone = Backbone(make_row(), "random", 0).build()
    before = weights_sha256(backbone)
    kernel = backbone.weights[-2]
    values = kernel.numpy()
    values[0, 0, 0, 0] += 1e-6
    kernel.assign(values)
    assert weights_sha256(backbone) != before


@pytest.fixture(scope="module")
def embed(backbone: keras.Model) -> Any:
    return make_embedder(backbone, 8)


@pytest.fixture(scope="module")
def embedded(embed: Any) -> np.ndarray:
    return embed(PIXELS)


class TestEmbedder:
    @pytest.mark.parametrize("batch_size", [4, 8, 16])
    def test_a_row_does_not_depend_on_its_place(self, backbone: keras.Model, batch_size: int) -> None:
        """The last place of a batch is where TensorFlow's kernels differ."""
        rows = make_embedder(backbone, batch_size)(np.repeat(PIXELS[:1], batch_size, 0))
        assert len({one.tobytes() for one in rows}) == 1

    @settings(deadline=None, max_examples=15, report_multiple_bugs=False, phases=[Phase.generate])
    @given(order=st.permutations(range(20)), n=st.integers(1, 20))
    def test_a_row_does_not_depend_on_its_batch(
        self, embed: Any, embedded: np.ndarray, order: list[int], n: int
    ) -> None:
        some = order[:n]
        assert np.array_equal(embed(PIXELS[some]), embedded[some])

    def test_it_is_the_backbone(self, embed: Any, backbone: keras.Model) -> None:
        result = embed(PIXELS.astype(np.uint8))
        assert result.shape == (20, 8, 8, 128)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, backbone(PIXELS), rtol=1e-4, atol=1e-3)


class TestPrecision:
    def test_bfloat16_is_near_float32_and_is_told_apart(
        self, backbone: keras.Model, row: BackboneRow
    ) -> None:
        coarse = Backbone(row, "random", 0).build("bfloat16")
        assert keras.config.dtype_policy().name == "float32"
        assert weights_sha256(coarse) == weights_sha256(backbone)
        exact, rounded = (make_embedder(model, 8)(PIXELS) for model in (backbone, coarse))
        assert rounded.dtype == np.float32
        assert not np.array_equal(exact, rounded)
        np.testing.assert_allclose(rounded, exact, atol=0.03 * exact.max())

    def test_what_is_deployed_is_float32(self, row: BackboneRow) -> None:
        deployed, working = Backbone(row, "random", 3).build_pair("float32")
        assert deployed is working
        deployed, working = Backbone(row, "random", 3).build_pair("bfloat16")
        assert {layer.compute_dtype for layer in deployed.get_layer("vgg16").layers} == {"float32"}
        assert {layer.compute_dtype for layer in working.get_layer("vgg16").layers[1:]} == {"bfloat16"}
        assert weights_sha256(deployed) == weights_sha256(working)

    @pytest.mark.parametrize(
        ("flags", "native"), [([], False), (["avx2"], False), (["avx512_bf16"], True), (["bf16"], True)]
    )
    def test_a_machine_without_the_instructions_is_warned(
        self, flags: list[str], native: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: {"flags": flags})
        expected = nullcontext() if native else pytest.warns(UserWarning, match="bfloat16 .* it will be slow")
        with expected:
            Backbone(make_row(), "random", 0).build("bfloat16")
        Backbone(make_row(), "random", 0).build("float32")
