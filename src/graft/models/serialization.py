"""Deployable models: pixels in, scores out, in one file that needs none of graft to load."""

import hashlib
import json
import re
import warnings
import zipfile
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from graft.models.card import ENTRY
from graft.models.isolation import build_isolated
from graft.utils.files import whole

# The earliest date a zip entry can carry; Keras's own three entries get dates of the run.
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
HUB = "keras-hub"


class MissingPackageError(ValueError):
    """A package that a model needs is not installed; the text names it, and how to install it."""


def deployable(*parts: keras.Model) -> keras.Model:
    """Join models that follow each other into one, such as a backbone and a head.

    Returns:
        Model from (n, size, size, channels) in [0, 255], as `graft.data.images` resizes images, to the last
        part's output.
    """
    images = output = keras.Input(parts[0].input_shape[1:], name="images")
    for part in parts:
        output = part(output)
    return keras.Model(images, output, name="graft")


def count_parameters(model: keras.Model) -> dict[str, int]:
    """`trainable_params` and `total_params`."""
    return {
        "trainable_params": sum(weight.numpy().size for weight in model.trainable_weights),
        "total_params": model.count_params(),
    }


def weights_sha256(model: keras.Model) -> str:
    """sha256 over the shapes and values of a model's weights, in order: what a fingerprint records."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(f"{weight.shape}".encode())
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def save_model(model: keras.Model, path: Path, card: dict[str, Any] | None = None) -> None:
    """Save a model as a ``.keras`` file whose bytes depend on the model and its card alone.

    Keras also writes the date, and the addresses of objects that layers share, such as dtype policies;
    here neither is left. A model that was loaded and is saved again has the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        raw = partial.with_name(f"{partial.name}.keras")  # the ending that Keras expects
        try:
            model.save(raw)
            _copy_timeless(raw, partial, card)
        finally:
            raw.unlink(missing_ok=True)


def required_packages(config: str) -> list[str]:
    """List the packages, but for Keras, that have layers of a model, from its configuration in JSON.

    >>> required_packages('{"registered_name": "keras_hub>ViTBackbone"}')
    ['keras-hub']
    """
    return [HUB] if re.search(r'"keras_hub[.>]', config) else []


def import_required(config: str) -> None:
    """Import the packages that a model needs to be loaded, such as its configuration says.

    Raises:
        MissingPackageError: if one is not installed.
    """
    if required_packages(config):
        import_hub()


def import_hub() -> ModuleType:
    """Import KerasHub, with whose layers Keras then loads files.

    Raises:
        MissingPackageError: if it is not installed.
    """
    if not find_spec("keras_hub"):
        raise MissingPackageError(
            f"the model has layers of {HUB}, which is not installed: pip install 'graft[hub]', or use an "
            "export of the model, such as ONNX, which needs none"
        )
    # Swin's layers have an argument that Keras takes for a mask of the inputs.
    warnings.filterwarnings("ignore", "Layer 'attn' .* was passed an input with a mask")
    return import_module("keras_hub")


def load_model(path: Path) -> keras.Model:
    """Load a ``.keras`` file, in Keras's safe mode, which runs no code that is in it.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if its entries are larger than the file.
        MissingPackageError: if it has layers of a package that is not installed.
        Exception: of Keras and HDF5, if it is damaged.
    """
    path.stat()  # Keras calls a missing file a wrong value
    with suppress(zipfile.BadZipFile, KeyError), zipfile.ZipFile(path) as file:
        if sum(each.file_size for each in file.infolist()) > path.stat().st_size:  # Keras compresses nothing
            raise ValueError(f"{path} has entries larger than itself, as no model that Keras saved: not read")
        import_required(file.read("config.json").decode())
    # KerasHub leaves layers to Keras to number, in the model that is built as in the one that is loaded.
    return build_isolated(lambda: keras.saving.load_model(path, compile=False, safe_mode=True))


def load_frozen(path: Path) -> keras.Model:
    """Load a model of which nothing is trained, also not as a part of another model."""
    model = load_model(path)
    model.trainable = True  # or the next line would not reach its layers: it is frozen already
    model.trainable = False
    return model


def _copy_timeless(raw: Path, path: Path, card: dict[str, Any] | None) -> None:
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name.endswith(".json"):
                content = _timeless(content)
            target.writestr(zipfile.ZipInfo(name, FIXED_DATE), content)
        if card is not None:
            target.writestr(zipfile.ZipInfo(ENTRY, FIXED_DATE), json.dumps(card))


def _timeless(content: bytes) -> bytes:
    """JSON without ``date_saved`` and ``shared_object_id``."""

    def clean(node: dict[str, Any]) -> dict[str, Any]:
        node.pop("date_saved", None)
        node.pop("shared_object_id", None)
        return node

    return json.dumps(json.loads(content, object_hook=clean)).encode()
