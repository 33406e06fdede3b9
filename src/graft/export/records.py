"""The exports of a method: ``exports.json`` beside its model, which says what each check found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graft.export.registry import FORMATS
from graft.utils.files import digest, read_json, write_json

RECORDS, FOLDER, MODEL = "exports.json", "exports", "model.keras"


def read_exports(folder: Path) -> list[dict[str, Any]]:
    """Read the records of a method's exports that are of its model as it is, and whose files are whole.

    Args:
        folder: such as ``models/two_stage``.

    Returns:
        A record a file, in the order of formats and precisions: ``format``, ``precision``, ``file`` (relative
        to `folder`), ``bytes``, ``passed``, ``forced``, ``max_difference`` (of scores to Keras's),
        ``differing_answers``, ``n_images`` (of test), ``accuracy``, ``accuracy_keras``, ``p_value``
        (McNemar's), ``images_per_second`` and ``keras_images_per_second`` (batch size -> images/s) with all
        threads, the same with ``_one_thread`` appended, and ``versions``.

    Raises:
        ValueError: if ``exports.json`` is not what `write_exports` writes.
    """
    file = folder / RECORDS
    if not (file.is_file() and (folder / MODEL).is_file()):
        return []
    try:
        records = read_json(file)
        if records["model_sha256"] != model_sha256(folder):
            return []
        return [each for each in records["exports"] if _is_whole(folder, each)]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not what graft writes ({error!r}): delete it") from None


def show_megabytes(n_bytes: float) -> str:
    """Bytes as a number of megabytes.

    >>> show_megabytes(4_140_000), show_megabytes(35_123)
    ('4.1', '0.035')
    """
    return f"{n_bytes / 1e6:.1f}" if n_bytes >= 1e6 else f"{n_bytes / 1e6:.2g}"


def model_sha256(folder: Path) -> str:
    """Compute the digest of the model in a folder."""
    return digest(folder / MODEL)


def _is_whole(folder: Path, record: Mapping[str, Any]) -> bool:
    return FORMATS[record["format"]].size(folder / record["file"]) == int(record["bytes"])


def write_exports(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write ``exports.json`` for the model that is in the folder."""
    ordered = sorted(records, key=lambda each: (each["format"], each["precision"]))
    partial = folder / f".{RECORDS}"
    write_json({"model_sha256": model_sha256(folder), "exports": ordered}, partial)
    partial.replace(folder / RECORDS)
