"""The formats of model files, and what running one gives. Imports no runtime before one is used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np


class Scored(NamedTuple):
    """The answer of a model to a batch of images.

    Attributes:
        scores: (n, n_classes) float32 probabilities in class order; with two classes as well.
        features: (n, d) float32: the backbone's output, averaged over a map's places; None without one.
    """

    scores: np.ndarray
    features: np.ndarray | None


# From (n, size, size, channels) in [0, 255], uint8 or float32, n > 0, to the answer. One call at a time,
# but for a format that is `concurrent`.
Session = Callable[[np.ndarray], Scored]


class MissingRuntimeError(ImportError, ValueError):
    """A package that a format needs is not installed."""


@dataclass(frozen=True)
class Format:
    """A format of model files.

    Its module has

    - ``read_card(path) -> dict``: see `graft.models.card.read_card`;
    - ``open_session(path, threads) -> Session``, where None is as many threads as the runtime takes by
      itself; it imports no TensorFlow for ONNX, LiteRT and OpenVINO;
    - ``write(model, card, path, precision, calibration)``: the deployable `keras.Model`, its card, the new
      file, one of the precisions, and the images (n, size, size, channels), uint8, that int8 takes the
      ranges of values from.

    Attributes:
        name: as people type it.
        module: in `graft.export`.
        suffix: of its files; empty: it is a folder.
        extra: what `pip install graft[...]` adds to run it; None: nothing.
        precisions: that it can be written in, the default first.
        packages: that write and run it.
        beside: suffix of a second file, which belongs to the first; empty: there is none.
        concurrent: whether several threads may call a session of it at once.
    """

    name: str
    module: str
    suffix: str
    extra: str | None
    precisions: tuple[str, ...]
    packages: tuple[str, ...] = ()
    beside: str = ""
    concurrent: bool = False

    def files(self, path: Path) -> list[Path]:
        """List the files, or the folder, that a model file consists of."""
        return [path, path.with_suffix(self.beside)] if self.beside else [path]

    def size(self, path: Path) -> int:
        """Count the bytes of a model file, with all that belongs to it; 0 where nothing is."""
        found = [each for file in self.files(path) for each in (file, *file.rglob("*"))]
        return sum(each.stat().st_size for each in found if each.is_file())

    def load(self) -> ModuleType:
        """Import its module.

        Raises:
            MissingRuntimeError: if that is not installed.
        """
        with self.needed():
            return import_module(f"graft.export.{self.module}")

    @contextmanager
    def needed(self) -> Iterator[None]:
        """Say how to install what a block of code imports and is not there."""
        try:
            yield
        except ModuleNotFoundError as error:
            if not self.extra or str(error.name).startswith("graft"):
                raise
            raise MissingRuntimeError(
                f"{self.name} needs {error.name}, which is not installed: pip install 'graft[{self.extra}]'"
            ) from None


ALL = ("float32", "float16", "int8")
FORMATS = {
    each.name: each
    for each in (
        Format("keras", "keras_file", ".keras", None, ("float32",)),
        Format("onnx", "onnx_file", ".onnx", "onnx", ALL, ("onnx", "tf2onnx", "onnxruntime"), "", True),
        Format("litert", "litert_file", ".tflite", "litert", ALL, ("ai-edge-litert",)),
        Format("openvino", "openvino_file", ".xml", "openvino", ALL, ("openvino", "nncf"), ".bin"),
        Format("saved_model", "saved_model", "", None, ("float32",)),
    )
}  # fmt: skip


def format_of(path: Path) -> Format:
    """Tell a model file's format by its name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is of no known format.

    >>> format_of(Path("models/two_stage/model.keras"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: models/two_stage/model.keras does not exist: ...
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: expected a model file")
    for each in FORMATS.values():
        if path.is_file() and path.suffix.lower() == each.suffix if each.suffix else path.is_dir():
            return each
    known = ", ".join(each.suffix or "the folder of a SavedModel" for each in FORMATS.values())
    raise ValueError(f"{path} is no model file of a known format: expected {known}")
