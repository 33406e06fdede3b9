"""The file of a trained model that a server runs: exported and proven, or Keras's own."""

import hashlib
import json
from pathlib import Path
from typing import Any

from graft.export.registry import FORMATS

KERAS = "keras"
RUNTIMES = ("onnx", "litert", "openvino", KERAS)  # formats that are made to be run by themselves


def choose(folder: Path, runtime: str | None = None) -> tuple[Path, str]:
    """Choose the file of a model to run.

    Args:
        folder: of the model, such as ``models/two_stage``.
        runtime: one of `RUNTIMES`; None: the fastest that is installed and has a file which passed its check
            and is of the present ``model.keras``, else Keras.

    Returns:
        The file, and what it is, in words.

    Raises:
        FileNotFoundError: if there is no ``model.keras``.
        ValueError: if the runtime that was asked for has no such file, or is not installed.
    """
    model = folder / "model.keras"
    if not model.is_file():
        raise FileNotFoundError(f"{model} does not exist: `dvc repro` makes it, `graft share pull` gets it")
    if runtime == KERAS:
        return model, KERAS
    usable = [each for each in _passed(folder, model) if runtime in (None, each["format"])]
    installed = [each for each in usable if is_installed(each["format"])]
    if installed:
        best = max(installed, key=lambda each: each["images_per_second"]["1"])
        return folder / best["file"], f"{best['format']}, {best['precision']}"
    if runtime and usable:
        raise ValueError(f"runtime={runtime} is not installed: pip install 'graft[{FORMATS[runtime].extra}]'")
    if runtime:
        raise ValueError(
            f"{folder} has no file for runtime={runtime} that passed its check and is of the present model: "
            f"`graft export {folder.name} --format {runtime}` makes one"
        )
    return model, KERAS


def is_installed(name: str) -> bool:
    """Tell whether the runtime of a format can be imported."""
    try:
        FORMATS[name].load()
    except ImportError:
        return False
    return True


def _passed(folder: Path, model: Path) -> list[dict[str, Any]]:
    """The exports of the present model that passed their check."""
    file = folder / "exports.json"
    if not file.is_file():
        return []
    exports = json.loads(file.read_text(encoding="utf-8"))
    if exports["model_sha256"] != hashlib.sha256(model.read_bytes()).hexdigest():
        return []
    return [
        each
        for each in exports["exports"]
        if each["passed"] and each["format"] in set(RUNTIMES) & set(FORMATS)
    ]
