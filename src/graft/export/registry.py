"""The formats of model files, and what running one gives. Imports no runtime before one is used."""

from collections.abc import Callable
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


# From (n, size, size, channels) in [0, 255], uint8 or float32, n > 0, to the answer.
Session = Callable[[np.ndarray], Scored]


@dataclass(frozen=True)
class Format:
    """A format of model files.

    Its module has ``read_card(path) -> dict``, ``open_session(path, threads) -> Session``, where None is as
    many threads as the runtime takes by itself, and ``write(model, card, path, precision, calibration)``.

    Attributes:
        name: as people type it.
        module: in `graft.export`.
        suffix: of its files; empty: it is a folder.
        extra: what `pip install graft[...]` adds to run it; None: nothing.
        precisions: that it can be written in, the default first.
    """

    name: str
    module: str
    suffix: str
    extra: str | None
    precisions: tuple[str, ...]

    def load(self) -> ModuleType:
        """Import its module."""
        return import_module(f"graft.export.{self.module}")


FORMATS = {
    each.name: each
    for each in (
        Format("keras", "keras_file", ".keras", None, ("float32",)),
    )
}  # fmt: skip


def not_ours(path: Path) -> ValueError:
    """The error of a file that a runtime may take, but that graft did not write."""
    return ValueError(f"{path} has no card of graft: expected a file that `graft export` wrote")


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
        raise FileNotFoundError(
            f"{path} does not exist: expected a model file; `dvc repro` makes one, `graft share pull` gets it"
        )
    for each in FORMATS.values():
        if each.suffix == path.suffix.lower() * path.is_file():
            return each
    known = ", ".join(each.suffix or "a SavedModel's folder" for each in FORMATS.values())
    raise ValueError(f"{path} is no model file of a known format: expected {known}")
