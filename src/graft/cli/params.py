"""The check of params.yaml: its schema, the names in it that only Keras knows, and the source."""

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graft import check_backend
from graft.config.features import check_file, check_installed
from graft.config.paths import CHECKED
from graft.config.training import check_smote
from graft.data.folders import walk
from graft.utils.files import write_text

LISTED = 5  # how much of what DVC cannot hash an error lists


def check_params(params: Mapping[str, Any], root: Path) -> None:
    """Check the whole of a params.yaml, also what no stage would look at now.

    The layers that it names are looked up in Keras, whose import takes seconds, only if they differ from
    those that were found last time.

    Raises:
        ValueError: naming what is wrong, there or with Keras's backend.
    """
    from graft.methods.params import parse_params
    from graft.methods.registry import METHODS

    check_backend()
    blocks = parse_params(params)
    check_installed(blocks.features.engine)
    for name in METHODS:
        check_smote(getattr(getattr(blocks, name), "sampling", None))
    check_source(root / blocks.source)
    row = blocks.backbones[blocks.backbone]
    check_file(row, root)
    own = (blocks.inline.fine_tune, blocks.scratch, blocks.distilled)
    named = [each.model_dump(mode="json") for each in (row, *own)]
    found = sha256(json.dumps([version("keras"), blocks.weights, *named]).encode()).hexdigest()
    stamp = root / CHECKED
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == found:
        return
    _check_layers(row, blocks)
    with suppress(OSError):  # in a checkout that can only be read, they are looked up each time
        write_text(found, stamp)


def check_source(source: Path) -> None:
    """Check that DVC, which hashes all of a source, comes to an end: at a pipe it would wait for ever.

    Raises:
        ValueError: naming what is no file, leads to nothing, or is a folder that links reach several times.
    """
    odd = [f"{each.name!r} ({each.fault})" for each in walk(source) if each.fault] if source.is_dir() else []
    if odd:
        more = f" and {len(odd) - LISTED} more" if len(odd) > LISTED else ""
        raise ValueError(
            f"source={source} holds what DVC cannot hash: {', '.join(sorted(odd)[:LISTED])}{more}; "
            "remove it, or give a zip or tar of the images"
        )


def _check_layers(row: Any, blocks: Any) -> None:
    from graft.methods.small_network import check_network
    from graft.models.freezing import check_backbone

    tuned = blocks.inline.fine_tune
    check_backbone(row, blocks.weights, tuned.blocks, tuned.layers)
    for name in ("scratch", "distilled"):
        check_network(name, getattr(blocks, name))
