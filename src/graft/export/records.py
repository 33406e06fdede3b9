"""The exports of a method: ``exports.json`` beside its model, which says what each check found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graft.utils.files import digest, read_json, write_json

RECORDS, FOLDER, MODEL = "exports.json", "exports", "model.keras"


def read_exports(folder: Path) -> list[dict[str, Any]]:
    """Read the records of a method's exports that are of its model as it is, and whose files are there.

    Args:
        folder: such as ``models/two_stage``.

    Returns:
        A record a file, in the order of formats and precisions: ``format``, ``precision``, ``file`` (relative
        to `folder`), ``bytes``, ``passed``, ``forced``, ``max_difference`` (of scores to Keras's),
        ``differing_answers``, ``n_images`` (of test), ``accuracy``, ``accuracy_keras``, ``p_value``
        (McNemar's), ``images_per_second`` and ``keras_images_per_second`` (batch size -> images/s) with all
        threads, the same with ``_one_thread`` appended, and ``versions``.

    Raises:
        ValueError: if ``exports.json`` is not JSON.
    """
    file, model = folder / RECORDS, folder / MODEL
    if not (file.is_file() and model.is_file()):
        return []
    try:
        records = read_json(file)
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}): delete it") from None
    if records["model_sha256"] != digest(model):
        return []
    return [each for each in records["exports"] if (folder / each["file"]).exists()]


def write_exports(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write ``exports.json`` for the model that is in the folder."""
    ordered = sorted(records, key=lambda each: (each["format"], each["precision"]))
    write_json({"model_sha256": digest(folder / MODEL), "exports": ordered}, folder / RECORDS)
