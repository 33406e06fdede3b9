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
        ``bit_depth`` (of the values in 16-bit images) only where it is less than 16.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no model of graft.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            card: dict[str, Any] = json.loads(archive.read(ENTRY))
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise ValueError(
            f"{path} has no card of graft: expected a model.keras of this version of graft; train it again "
            "with `dvc repro`"
        ) from None
    return card
