"""Arrays that may be larger than memory."""

import shutil
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


def allocate(shape: tuple[int, ...], dtype: DTypeLike, memory_limit: float, scratch: Path) -> np.ndarray:
    """An array to fill: in memory where it fits, else a memory-mapped file.

    Args:
        memory_limit: GB; a larger array is memory-mapped.
        scratch: the ``.npy`` file to map, replaced; it can always be rebuilt.

    Raises:
        OSError: if the disk has no room for the file.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= memory_limit * 1e9:
        return np.empty(shape, dtype)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    # Not truncated: a process that still maps the old file would be killed.
    scratch.unlink(missing_ok=True)
    free = shutil.disk_usage(scratch.parent).free
    if size > free:
        # The file would be sparse, and a process that fills it on a full disk is killed without a word.
        raise OSError(
            f"no room for {scratch}: expected {size / 1e9:.2f} GB on its disk, found {free / 1e9:.2f} GB; "
            f"free some, or raise features.memory_limit={memory_limit:g} if there is that much memory"
        )
    return np.lib.format.open_memmap(scratch, "w+", dtype, shape)
