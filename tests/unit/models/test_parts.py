"""graft.models.parts: each model is that of its file, and a backbone that they share is built once."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from graft.methods.registry import METHODS
from graft.models.parts import Models


def test_each_is_the_model_of_its_file(trained: dict[str, SimpleNamespace]) -> None:
    models = Models()
    for method in [*METHODS, *reversed(METHODS)]:
        model, alone = models.load(trained[method].model), keras.saving.load_model(trained[method].model)
        images = np.random.default_rng(0).integers(0, 255, (3, *model.input_shape[1:])).astype(np.float32)
        assert model(images).numpy().tobytes() == alone(images).numpy().tobytes()
        assert [layer.name for layer in model.layers] == [layer.name for layer in alone.layers]


def test_a_backbone_is_built_once(trained: dict[str, SimpleNamespace]) -> None:
    models = Models()
    backbones: list[Any] = [
        models.load(trained[name].model).get_layer("backbone")
        for name, method in METHODS.items()
        if method.has_backbone
    ]
    assert len(backbones) > 2
    assert all(backbone is backbones[0] for backbone in backbones)
