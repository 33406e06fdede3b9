"""Deployable models of one pipeline, read one after the other: a backbone that they share is built once."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from graft.models.serialization import deployable, import_required


class Models:
    """A reader of deployable models, each of which is in use until the next is read.

    A part that is described as one of the model before is not built again; it gets its weights from the file.
    """

    def __init__(self) -> None:
        self._parts: dict[str, keras.Model] = {}

    def load(self, path: Path) -> keras.Model:
        """Load a model that `graft.models.serialization.deployable` made."""
        with zipfile.ZipFile(path) as file:
            config = file.read("config.json").decode()
        import_required(config)
        _, *described = json.loads(config)["config"]["layers"]  # but for the input
        self._parts = {text: self._build(text, part) for part in described for text in [json.dumps(part)]}
        model = deployable(*self._parts.values())
        model.load_weights(path)
        return model

    def _build(self, text: str, described: dict[str, Any]) -> keras.Model:
        return self._parts.get(text) or keras.saving.deserialize_keras_object(described)
