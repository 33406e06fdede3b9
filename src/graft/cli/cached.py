"""The dataset of a repository by its cached features, for commands that look into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from graft.methods.linear import Room


@contextmanager
def opened_features(root: Path) -> "Iterator[tuple[pd.DataFrame, np.ndarray, Room]]":
    """Give the manifest, the features of its images, in its order, and the room that further arrays may take.

    Raises:
        OSError: if the manifest or the features are missing.
        KeyError: if an image has no features.
        ValueError: if params.yaml or a feature is not valid.
    """
    from filelock import FileLock

    from graft.config.load import load_params
    from graft.config.paths import FEATURES, MANIFEST, TEMPORARY
    from graft.config.types import Positive
    from graft.data.manifest import read_manifest
    from graft.features.format import load_features
    from graft.methods.linear import Room
    from graft.utils.temporary import emptied

    memory_limit = load_params({"features.memory_limit": Positive}, root / "params.yaml").memory_limit
    manifest = read_manifest(root / MANIFEST)
    (root / TEMPORARY).mkdir(parents=True, exist_ok=True)
    with FileLock(root / TEMPORARY / "cached.lock"), emptied(root / TEMPORARY, "cached-") as temporary:
        room, rows = Room(memory_limit, temporary), [(key, 0) for key in manifest["key"]]
        features = load_features([root / FEATURES], rows, memory_limit, room.temporary / "features.npy")
        yield manifest, features, room


def explain(error: Exception) -> str:
    """Say in a sentence what reading a repository's files, or writing some, raised."""
    from graft.utils.errors import explain_system_error

    if isinstance(error, OSError) and error.errno:
        return explain_system_error(error)
    return str(error.args[0] if isinstance(error, KeyError) else error)
