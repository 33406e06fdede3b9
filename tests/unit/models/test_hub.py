"""One contract for every family of KerasHub: tiny, from the folder of a preset, up to files and heat maps."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from graft.config.features import BackboneRow
from graft.config.load import read_params
from graft.explain.gradcam import gradcam
from graft.export.keras_file import portable
from graft.features.embedding import Embedding
from graft.features.extraction import extract
from graft.features.format import plain_rows
from graft.methods.outcome import write_model
from graft.methods.registry import METHODS
from graft.methods.run import Run
from graft.models.backbones import Backbone, application_in, from_pixels, make_embedder, outline
from graft.models.card import read_card
from graft.models.freezing import unfreeze
from graft.models.libraries import hub
from graft.models.libraries.common import BackboneError
from graft.models.parts import Models
from graft.models.serialization import load_frozen, save_model, weights_sha256
from helpers.repository import ROOT
from helpers.tiers import long_but_for

keras_hub = pytest.importorskip("keras_hub")
kaggle_env = pytest.importorskip("kagglesdk.kaggle_env")
NEVER = "http://127.0.0.1:9"  # the discard port: nobody listens

ROWS = {
    name: BackboneRow.model_validate(values)
    for name, values in read_params(ROOT / "params.yaml")["backbones"].items()
    if values.get("library") == "keras_hub"
}
SIZE, WIDTH = 32, 16
TINY = {"num_layers": 2, "num_heads": 2, "hidden_dim": WIDTH, "patch_size": 8}
MLP = TINY | {"intermediate_dim": 24}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "vit_base": TINY | {"mlp_dim": 24},
    "deit_tiny": MLP,
    "dinov2_small": MLP | {"position_embedding_shape": (64, 64)},
    "dinov2_small_registers": MLP | {"num_register_tokens": 4},
    "dinov3_small": MLP,
    "clip_base_32": MLP,
    "siglip_base": MLP,
    "swin_tiny": {"embed_dim": 8, "depths": (1, 2), "num_heads": (1, 2), "window_size": 4, "patch_size": 4},
}  # fmt: skip
BEFORE = {"deit_tiny": 2, "dinov2_small_registers": 5, "dinov3_small": 5, "siglip_base": 0, "swin_tiny": 0}
QUICK = ("dinov2_small_registers",)  # in `make test`
PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype(np.float32)


def kind_of(name: str) -> str:
    return hub.PRESETS[ROWS[name].application][0]


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that saves a tiny tower of a family as a preset."""
    folder = tmp_path_factory.mktemp("presets")

    def save(name: str) -> Path:
        if not (folder / name).exists():
            keras.utils.set_random_seed(3)
            tower = getattr(keras_hub.models, kind_of(name))(**ARGUMENTS[name], image_shape=(SIZE, SIZE, 3))
            tower.save_to_preset(str(folder / name))
        return folder / name

    return save


def tiny(name: str, **changes: Any) -> BackboneRow:
    return ROWS[name].model_copy(update={"image_size": SIZE, "batch_size": 4, **changes})


@pytest.fixture(scope="module", params=long_but_for(QUICK, [n for n in ARGUMENTS if n != "dinov2_small"]))
def built(request: pytest.FixtureRequest, preset: Any) -> SimpleNamespace:
    folder, name = preset(request.param), request.param
    row = tiny(name)
    loaded = keras_hub.models.Backbone.from_preset(str(folder))
    return SimpleNamespace(
        name=name, folder=folder, row=row, loaded=loaded, backbone=Backbone(row, str(folder), 0).build()
    )


def tokens(built: SimpleNamespace) -> np.ndarray:
    """What KerasHub itself makes of the pixels, prepared by hand."""
    mean, std = {
        "symmetric": (0.5, 0.5),
        "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        "clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
    }[built.row.preprocessing]
    images = ((PIXELS / 255 - mean) / std).astype(np.float32)
    named = built.loaded.input
    return np.asarray(built.loaded(dict.fromkeys(named, images) if isinstance(named, dict) else images))


def test_every_family_is_here() -> None:
    assert {kind_of(name) for name in ROWS} == {kind_of(name) for name in ARGUMENTS}


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [*ARGUMENTS, "vit_large", "dinov3_small_plus", "clip_large", "siglip_so400m"]
)
def test_the_architecture_is_that_of_the_preset(name: str) -> None:
    """KerasHub publishes the number of parameters of each: with the text's, and of DINOv2 at 518 pixels."""
    row = ROWS[name]
    presets = keras_hub.models.Backbone.presets
    expected = presets[row.application]["metadata"]["params"]
    n = outline(
        row.model_copy(update={"image_size": 518 if "dinov2" in name else row.image_size})
    ).count_params()
    if name.startswith(("clip", "siglip")):
        assert n < expected
    else:
        assert n == pytest.approx(expected, rel=0.02 if "dinov3" in name else 0)


class TestContract:
    def test_it_is_the_preset_with_its_preprocessing_and_pooling(self, built: SimpleNamespace) -> None:
        expected, pooling = tokens(built), built.row.pooling
        if pooling == "cls":
            expected = expected[:, 0]
        elif pooling == "avg":
            expected = expected.mean(1)
        np.testing.assert_allclose(np.asarray(built.backbone(PIXELS)), expected, rtol=1e-3, atol=1e-4)
        assert built.backbone.trainable_weights == []

    def test_patches_are_pooled_without_class_and_registers(self, built: SimpleNamespace) -> None:
        if built.name == "siglip_base":
            for pooling in ("cls", "avg", "max"):
                with pytest.raises(
                    BackboneError, match=rf"pooling={pooling}: .* gives vectors .*set pooling to none"
                ):
                    outline(built.row.model_copy(update={"pooling": pooling}), str(built.folder))
            return
        patches = tokens(built)[:, BEFORE.get(built.name, 1) :]
        grid = patches.reshape(4, 4, 4, -1)
        for pooling, expected in (("avg", patches.mean(1)), ("max", patches.max(1)), ("none", grid)):
            row = built.row.model_copy(update={"pooling": pooling})
            found = from_pixels(application_in(built.backbone), row)(PIXELS)
            np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-3, atol=1e-4)

    def test_a_row_does_not_depend_on_its_batch(self, built: SimpleNamespace) -> None:
        features = make_embedder(built.backbone, 4)(PIXELS[[0, 1, 2, 3, 3, 0]])
        assert features[0].tobytes() == features[5].tobytes()
        assert features[3].tobytes() == features[4].tobytes()

    def test_it_survives_its_file(self, built: SimpleNamespace, tmp_path: Path) -> None:
        for name in ("backbone", "again"):
            model = built.backbone if name == "backbone" else load_frozen(tmp_path / "backbone.keras")
            save_model(model, tmp_path / f"{name}.keras")
        assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "backbone.keras").read_bytes()
        np.testing.assert_array_equal(model(PIXELS), built.backbone(PIXELS))
        save_model(Backbone(built.row, str(built.folder), 0).build(), tmp_path / "rebuilt.keras")
        assert (tmp_path / "rebuilt.keras").read_bytes() == (tmp_path / "backbone.keras").read_bytes()

    def test_random_weights_are_of_the_seed(
        self, built: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = (kind_of(built.name), ARGUMENTS[built.name])
        monkeypatch.setitem(hub.PRESETS, built.row.application, arguments)
        first, again, other = (weights_sha256(Backbone(built.row, "random", s).build()) for s in (0, 0, 1))
        assert first == again != other

    def test_a_block_is_fine_tuned_and_no_other(self, built: SimpleNamespace) -> None:
        backbone = Backbone(built.row, str(built.folder), 0).build()
        before = {weight.path: weight.numpy() for weight in backbone.weights}
        named = unfreeze(backbone, [], 1)
        assert len(named) == 1
        images = keras.Input((SIZE, SIZE, 3))
        pooled = keras.layers.Flatten()(backbone(images, training=False))
        model = keras.Model(images, keras.layers.Dense(1)(pooled))
        model.compile("adam", "mse")
        model.train_on_batch(PIXELS, np.ones((4, 1)))
        changed = {w.path for w in backbone.weights if not np.array_equal(before[w.path], w.numpy())}
        assert changed
        assert all(f"/{named[0]}/" in f"/{path}" for path in changed)


@pytest.fixture(scope="module")
def deployed(
    built: SimpleNamespace, params: Any, images: Path, manifest: pd.DataFrame, tmp_path_factory: Any
) -> SimpleNamespace:
    """`linear` on features of a tiny transformer, in its file."""
    folder = tmp_path_factory.mktemp(built.name)
    embedding = Embedding(built.backbone, built.row, str(built.folder), "float32")
    extract(images, plain_rows(manifest), embedding, folder / "store", None, folder / "features")
    save_model(built.backbone, folder / "backbone.keras")
    run = Run(manifest, images, folder / "features", folder / "features", folder / "backbone.keras", folder)
    needed = SimpleNamespace(
        backbone=built.name, weights=str(built.folder), memory_limit=1.0, linear=params.linear
    )
    outcome = METHODS["linear"].load().train(needed, run)
    write_model(outcome, folder, "linear", "demo")
    return SimpleNamespace(folder=folder, file=folder / "model.keras", outcome=outcome, embedding=embedding)


class TestDeployed:
    def test_its_card_says_what_it_needs(self, deployed: SimpleNamespace) -> None:
        card = read_card(deployed.file)
        assert card["requires"] == ["keras-hub"]
        assert card["versions"]["keras-hub"] == keras_hub.__version__
        facts = deployed.embedding.fingerprint
        assert facts["keras_hub"] == keras_hub.__version__
        assert len(facts["architecture"]) == 64

    def test_its_scores_are_those_reported(self, deployed: SimpleNamespace, images: Path) -> None:
        import graft
        from graft.data.decoding import load_pixels

        rows = deployed.outcome.rows
        scored = graft.load(deployed.file).score(load_pixels(images, list(rows["key"]), SIZE)).scores
        np.testing.assert_allclose(scored, deployed.outcome.scores, atol=5e-3)

    def test_grad_cam_is_of_the_patches(self, deployed: SimpleNamespace) -> None:
        found = gradcam(Models().load(deployed.file), PIXELS)
        assert {one.heat.shape for one in found} == {(4, 4)}
        assert all(np.isfinite(one.heat).all() and one.heat.max() in (0, 1) for one in found)
        assert any(one.heat.any() for one in found)

    def test_onnx_needs_nothing(self, deployed: SimpleNamespace, tmp_path: Path) -> None:
        onnx_file = pytest.importorskip("graft.export.onnx_file")
        model = load_frozen(deployed.file)
        onnx_file.write(model, read_card(deployed.file), tmp_path / "m.onnx", "float32", PIXELS[:0])
        scored = onnx_file.open_session(tmp_path / "m.onnx")(PIXELS)
        expected = portable(model)(PIXELS)
        np.testing.assert_allclose(scored.scores, expected["scores"], atol=1e-4)
        np.testing.assert_allclose(scored.features, expected["features"], rtol=1e-3, atol=1e-3)


class TestSources:
    """Where a preset comes from: KerasHub's own loader, against a server on loopback with a tiny one."""

    NAME = "dinov2_small"
    ROW = tiny(NAME, image_size=64)

    @pytest.fixture
    def kaggle(self, preset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
        """What a server was asked for that gives the files of a tiny preset as Kaggle does."""
        folder, asked = preset(self.NAME), list[str]()

        class Kaggle(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append(f"{body['modelSlug']}/{body['instanceSlug']}/{body['path']}")
                file = folder / body["path"]
                self.send_response(200 if file.is_file() else 404)
                content = file.read_bytes() if file.is_file() else b""
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
        with ThreadingHTTPServer(("127.0.0.1", 0), Kaggle) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            point_at(f"http://127.0.0.1:{server.server_port}", monkeypatch)
            yield asked
            server.shutdown()
            thread.join()

    def test_a_preset_is_fetched_once(
        self, kaggle: list[str], preset: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = weights_sha256(Backbone(self.ROW, str(preset(self.NAME)), 0).build())
        assert weights_sha256(Backbone(self.ROW, "imagenet", 0).build()) == expected
        assert set(kaggle) >= {f"dinov2/dinov2_small/{file}" for file in ("config.json", "model.weights.h5")}
        point_at(NEVER, monkeypatch)
        assert weights_sha256(Backbone(self.ROW, "imagenet", 1).build()) == expected

    def test_without_a_network_it_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
        point_at(NEVER, monkeypatch)
        message = r"weights=imagenet: KerasHub could not load dinov2_small: .*save_to_preset\('FOLDER'\)"
        with pytest.raises(BackboneError, match=message):
            Backbone(self.ROW, "imagenet", 0).build()

    @pytest.mark.long
    def test_hugging_face_is_asked_for_a_handle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(BackboneError, match="KerasHub could not load hf://nobody/nothing: "):
            Backbone(self.ROW, "hf://nobody/nothing", 0).build()

    @pytest.mark.long
    def test_the_image_tower_of_a_pair_is_taken(self, tmp_path: Path) -> None:
        models, row = keras_hub.models, tiny("clip_base_32")
        vision = models.CLIPVisionEncoder(**ARGUMENTS["clip_base_32"], image_shape=(SIZE, SIZE, 3))
        text = {"vocabulary_size": 20, "embedding_dim": 8, "hidden_dim": 8, "max_sequence_length": 4}
        text |= {"num_layers": 1, "num_heads": 1, "intermediate_dim": 8}
        pair = models.CLIPBackbone(vision, models.CLIPTextEncoder(**text), projection_dim=8)
        pair.save_to_preset(str(tmp_path / "pair"))
        tower = application_in(Backbone(row, str(tmp_path / "pair"), 0).build())
        for a, b in zip(tower.weights, vision.weights, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.long
    def test_folders_and_names_that_do_not_suit(self, preset: Any, tmp_path: Path) -> None:
        folder = preset("clip_base_32")
        for row, weights, message in (
            (tiny(self.NAME), tmp_path / "none", r"weights=.*none is no folder; expected imagenet, random,"),
            (tiny(self.NAME), tmp_path, r"config\.json is not that of a preset of KerasHub"),
            (tiny(self.NAME), folder, r"are of a CLIPVisionEncoder, expected a DINOV2Backbone"),
            (tiny("clip_base_32", image_size=40), folder, r"image_size=40: .* suit 32 x 32 pixels only"),
            (tiny(self.NAME, application="x"), "random", r"application='x' is not among .*, dinov2_small"),
            (tiny(self.NAME, image_size=28), "random", r"image_size=28 .* expected 42 pixels or more"),
        ):
            with pytest.raises(BackboneError, match=message):
                Backbone(row, str(weights), 0).build()

    @pytest.mark.long
    def test_dinov2_is_resized(self, preset: Any) -> None:
        built = Backbone(tiny(self.NAME, image_size=48, pooling="none"), str(preset(self.NAME)), 0).build()
        assert built.output_shape == (None, 6, 6, WIDTH)

    def test_a_layer_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"layer='encoder' with library=keras_hub: expected null"):
            BackboneRow.model_validate(ROWS[self.NAME].model_dump() | {"layer": "encoder"})

    def test_without_keras_hub_a_row_and_a_file_say_what_to_install(
        self, preset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backbone = Backbone(tiny(self.NAME), str(preset(self.NAME)), 0)
        save_model(backbone.build(), tmp_path / "model.keras")
        monkeypatch.setitem(sys.modules, "keras_hub", None)
        with pytest.raises(ValueError, match=r"library=keras_hub, .* pip install 'graft\[hub\]'"):
            backbone.build()
        with pytest.raises(
            ValueError, match=r"layers of keras-hub, .* pip install 'graft\[hub\]', or use an"
        ):
            load_frozen(tmp_path / "model.keras")


def point_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Kaggle's library ask this address; the constant is its own."""
    environment = kaggle_env.KaggleEnv.LOCAL
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setitem(kaggle_env._env_to_endpoint, environment, address)
