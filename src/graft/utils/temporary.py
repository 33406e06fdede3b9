"""A temporary folder that a `kill -9` does not leave for good."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def emptied(folder: Path, prefix: str) -> Iterator[Path]:
    """Make a temporary folder within another, in place of those that killed processes left there.

    The caller holds a lock: every folder that begins with `prefix` is removed, in use or not.
    """
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left)
    with TemporaryDirectory(prefix=prefix, dir=folder) as temporary:
        yield Path(temporary)
