"""The card in a model's file: classes, provenance and accuracy as JSON, read without building the model."""

import json
import zipfile
from pathlib import Path
from typing import Any

ENTRY = "graft.json"  # beside Keras's own entries in the .keras archive, which it leaves alone


def read_card(path: Path) -> dict[str, Any]:
    """Read the card of a ``.keras`` file.

    Returns:
        ``classes`` (the labels in class order), ``image_size`` (pixels, height = width), ``channels``,
        ``method``, ``dataset``, ``backbone``, ``weights``, ``pretrained``, ``weights_sha256`` (None without
        a backbone), ``seed``, ``n_images`` (split -> number), ``accuracy`` (``validation`` and ``test``, each
        with ``value``, ``low``, ``high`` and ``n``), ``confidence`` of these intervals, and ``versions``;
        ``features`` (precision and engine of those it was trained and scored with) only where they are not
        Keras's in float32; ``requires`` (packages that have layers of the model, and without which Keras
        cannot load it) only where there are any; ``teacher`` (the method from whose answers it learned) and
        ``teacher_sha256`` (of that model's file) only where it had one; ``members`` (``method``, ``seed`` and
        ``weight`` of each) only of an ensemble; ``bit_depth`` (of the values in 16-bit images) only where it
        is less than 16; ``temperature`` only where the scores are calibrated by one; ``augmentation`` (of
        params.yaml) only in an export for which ``predict.tta`` asked for views.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no model of graft.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # graft and Keras compress nothing, so an entry larger than the file is a bomb.
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise not_ours(path)
            content = archive.read(ENTRY)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):  # also encrypted ones
        raise not_ours(path) from None
    return parse_card(content, path)


def parse_card(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parse a card, from whichever place of a file it comes.

    Raises:
        ValueError: if it does not say what is needed to run the model.
    """
    try:
        card: dict[str, Any] = json.loads(text)
        classes, size = card["classes"], card["image_size"]
        valid = all(isinstance(name, str) for name in classes) and len(set(classes)) == len(classes) > 1
        if not (valid and isinstance(size, int) and size > 0 and card["channels"] in (1, 3)):
            raise not_ours(path)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise not_ours(path) from None
    return card


def not_ours(path: Path) -> ValueError:
    """The error of a file that a runtime may take, but that graft did not write, or not as a whole."""
    return ValueError(
        f"{path} has no card of graft: expected a whole file that this version of graft wrote, by "
        "`dvc repro` or `graft export`"
    )
