"""The file of a trained model that a server runs: exported and proven, or Keras's own."""

from pathlib import Path

from graft.export.records import MODEL, read_exports
from graft.export.registry import FORMATS, MissingRuntimeError

KERAS = "keras"
RUNTIMES = ("onnx", "litert", "openvino", KERAS)


def choose(folder: Path, runtime: str | None = None) -> tuple[Path, str]:
    """Choose the file of a model to run.

    Args:
        folder: of the model, such as ``models/two_stage``.
        runtime: one of `RUNTIMES`; None: the fastest, for one image at a time, that is installed and has a
            file which passed its check and is of the present model; if there is none, Keras.

    Returns:
        The file, and what it is, in words.

    Raises:
        FileNotFoundError: if there is no ``model.keras``.
        ValueError: if there is no such file of the runtime that was asked for.
        MissingRuntimeError: if that is not installed.
    """
    if not (folder / MODEL).is_file():
        raise FileNotFoundError(
            f"{folder / MODEL} does not exist: `dvc repro` makes it, `graft share pull` gets it"
        )
    wanted = (runtime,) if runtime else RUNTIMES
    proven = [each for each in read_exports(folder) if each["passed"] and each["format"] in wanted]
    for each in sorted(proven, key=lambda each: -each["images_per_second"]["1"]):
        if runtime or is_installed(each["format"]):
            FORMATS[each["format"]].load()
            return folder / each["file"], f"{each['format']}, {each['precision']}"
    if runtime not in (None, KERAS):
        raise ValueError(
            f"{folder} has no file for runtime={runtime} that passed its check and is of the present model: "
            f"`graft export {folder.name} --format {runtime}` makes one"
        )
    return folder / MODEL, KERAS


def is_installed(name: str) -> bool:
    """Tell whether the runtime of a format can be imported."""
    try:
        FORMATS[name].load()
    except MissingRuntimeError:
        return False
    return True
