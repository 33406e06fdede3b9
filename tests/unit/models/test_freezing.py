"""Fine-tuning: the named layers learn, every other one stays as it was."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.config.features import BackboneRow
from graft.models.backbones import Backbone
from graft.models.freezing import check_backbone, choose_layers, unfreeze
from graft.models.libraries.common import BackboneError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
VGG16 = {"application": "VGG16", "preprocessing": "vgg16", "layer": "block5_pool"}
MOBILENET = {"application": "MobileNetV2", "preprocessing": "mobilenet_v2", "layer": "block_3_project_BN"}
NAMES = ["block_1_expand", "block_1_project", "block_16_project", "block_2", "Conv_1"]


def make_row(**values: Any) -> BackboneRow:
    return BackboneRow.model_validate({"pooling": "avg", "image_size": 32, "batch_size": 4, **values})


def learn(row: BackboneRow, blocks: list[str], layers: int) -> tuple[list[str], set[str]]:
    """What `unfreeze` says is trained, and which layers a step of a real optimizer changed."""
    backbone = Backbone(row, "random", 0).build()
    application = backbone.get_layer(row.application.lower())
    named = unfreeze(backbone, blocks, layers)
    before = {layer.name: layer.get_weights() for layer in application.layers}
    head = keras.layers.Dense(1)
    pixels = keras.Input((32, 32, 3))
    model = keras.Model(pixels, head(backbone(pixels, training=False)))
    model.compile("adam", "mse")
    model.train_on_batch(PIXELS, np.ones((4, 1)))
    changed = {
        layer.name
        for layer in application.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    }
    return named, changed


@pytest.mark.parametrize(
    ("blocks", "layers", "expected"),
    [
        pytest.param([], 0, [], marks=pytest.mark.long),
        (["block5"], 0, ["block5_conv1", "block5_conv2", "block5_conv3"]),
        (["block5_conv3", "block1"], 0, ["block1_conv1", "block1_conv2", "block5_conv3"]),
        pytest.param([], 2, ["block5_conv2", "block5_conv3"], marks=pytest.mark.long),
    ],
)
def test_the_named_layers_learn_and_no_other(blocks: list[str], layers: int, expected: list[str]) -> None:
    named, changed = learn(make_row(**VGG16), blocks, layers)
    assert named == expected
    assert changed == set(expected)


@pytest.mark.parametrize(
    ("blocks", "layers", "expected"),
    [
        (["block_1", "block_3"], 0, ["expand", "depthwise", "project"]),
        ([], 4, []),
    ],
)
def test_batch_normalization_stays_frozen(blocks: list[str], layers: int, expected: list[str]) -> None:
    named, changed = learn(make_row(**MOBILENET), blocks, layers)
    by_layers = ["block_2_project", "block_3_expand", "block_3_depthwise", "block_3_project"]
    assert named == ([f"{block}_{name}" for block in blocks for name in expected] or by_layers)
    assert changed == set(named)


def test_a_second_choice_replaces_the_first() -> None:
    backbone = Backbone(make_row(**VGG16), "random", 0).build()
    unfreeze(backbone, ["block1"], 0)
    assert unfreeze(backbone, [], 1) == ["block5_conv3"]
    assert [w.path.split("/")[0] for w in backbone.trainable_weights] == ["block5_conv3"] * 2


def model_of(names: list[str]) -> keras.Model:
    return keras.Sequential([keras.Input((1,)), *(keras.layers.Dense(1, name=name) for name in names)])


def test_a_block_ends_where_its_name_does() -> None:
    model = model_of(NAMES)
    assert choose_layers(model, ["block_1"], 0) == NAMES[:2]
    assert choose_layers(model, ["block_2", "Conv"], 0) == NAMES[3:]
    with pytest.raises(BackboneError, match="'bloc'"):
        choose_layers(model, ["bloc"], 0)


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 80), st.data())
def test_every_name_that_an_error_offers_is_legal(n: int, data: st.DataObject) -> None:
    names = [f"stage{i % 7}_block{i}_conv" for i in range(n)]
    model = model_of(names)
    with pytest.raises(BackboneError) as error:
        choose_layers(model, ["nothing"], 0)
    offered = str(error.value).split("begin with: ")[1].split(", ")
    assert len(offered) <= 40
    assert {name.split("_")[0] for name in names} <= set(offered)
    assert choose_layers(model, [data.draw(st.sampled_from(offered))], 0)


@pytest.mark.parametrize(
    ("values", "blocks", "layers", "message"),
    [
        (
            VGG16,
            ["block6"],
            0,
            r"blocks='block6' .* in vgg16 .*: block1, .*block5, block1_conv1, .*block5_conv3",
        ),
        (VGG16, ["block5", "block5_pool"], 0, r"blocks='block5_pool' has no layer to train"),
        (VGG16, ["input"], 0, r"blocks='input' has no layer to train"),
        (VGG16, [], 14, r"layers=14 is more than vgg16 has .* at most 13,"),
        (
            VGG16 | {"layer": "block2_pool"},
            ["block3"],
            0,
            r"blocks='block3' .*: block1, block2, block1_conv1",
        ),
        (VGG16 | {"layer": "block2_pool"}, [], 5, r"layers=5 .* at most 4,"),
        (MOBILENET, ["block_2_expand_BN"], 0, r"blocks='block_2_expand_BN' has no layer to train"),
        (VGG16 | {"layer": "block9"}, ["block5"], 0, r"layer='block9' is not in VGG16"),
        (VGG16 | {"preprocessing": "vgg"}, [], 0, r"preprocessing='vgg' is unknown"),
        (VGG16 | {"image_size": 16}, [], 0, r"image_size=16 does not suit VGG16"),
    ],
)
def test_names_that_are_not_legal(
    values: dict[str, Any], blocks: list[str], layers: int, message: str
) -> None:
    with pytest.raises(BackboneError, match=message):
        check_backbone(make_row(**values), "random", blocks, layers)


def test_an_error_leaves_the_backbone_frozen() -> None:
    backbone = Backbone(make_row(**VGG16), "random", 0).build()
    with pytest.raises(BackboneError):
        unfreeze(backbone, ["block6"], 0)
    assert backbone.trainable_weights == []


def test_what_is_legal() -> None:
    check_backbone(make_row(**VGG16), "random", ["block4", "block5_conv1"], 0)
    check_backbone(make_row(**MOBILENET), "random", [], 3)
