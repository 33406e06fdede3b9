"""Datasets: one module each. A new dataset is one new file in this folder.

A dataset module has

- ``SOURCE``: the `graft.data.download.Source` that it downloads, a tuple of them, or None;
- ``fetch(raw, source, cache)``: fills the folder ``raw`` (``data/raw``). ``source`` is the path that
  params.yaml names, whose files are listed (`graft.data.listing`), not copied; ``cache`` the folder that
  keeps downloads. A module that downloads takes its ``SOURCE`` as a fourth argument, for tests, and raises
  `graft.data.download.DownloadError`;
- ``read(raw)``: yields its images, in any order, straight from the files that ``fetch`` put or listed there.

It may have

- ``read_ignored(raw)``: the `graft.data.raw.Ignored` part of what ``fetch`` was given;
- ``KNOWN_FAULTS``: path of an image, as ``read`` yields it -> why it is rejected;
- ``NOTICE``: what who shows the images owes to their authors.
"""

import importlib
import pkgutil
from types import ModuleType


def list_datasets() -> list[str]:
    """List the names of the datasets, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def load_dataset(name: str) -> ModuleType:
    """Import the dataset module of that name.

    Raises:
        ValueError: if there is no such dataset.
    """
    legal = list_datasets()
    if name not in legal:
        raise ValueError(f"unknown dataset={name!r}: expected one of {', '.join(legal)}")
    return importlib.import_module(f"{__name__}.{name}")
