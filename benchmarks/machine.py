"""The machine: what it is, and how fast it multiplies matrices."""

import os
import platform
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from cpuinfo import get_cpu_info

from graft.models.dtype_policy import BFLOAT16_FLAGS

ROOT = Path(__file__).parents[1]
RELEVANT_FLAGS = BFLOAT16_FLAGS | {"avx2", "avx512f", "avx512_fp16", "asimd", "sve"}


def describe() -> dict[str, Any]:
    """CPU, cores, memory in bytes, and the versions of what is measured."""
    cpu = get_cpu_info()
    return {
        "cpu": cpu.get("brand_raw", platform.machine()),
        "flags": sorted(RELEVANT_FLAGS.intersection(cpu.get("flags", ()))),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("tensorflow", "keras", "graft")},
    }


def commit() -> str:
    """The commit, and whether the code is another."""
    code = ["src", "benchmarks", ":(exclude)benchmarks/results.json"]
    changes = " with changes" if _git("status", "--porcelain", "--", *code) else ""
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + changes


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def matmul(size: int, dtype: str, repeats: int = 8) -> Callable[[], dict[str, float]]:
    """Products of two square matrices, one after the other.

    Args:
        size: rows = columns.
        dtype: float32 or bfloat16.
        repeats: how many products.
    """
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal((size, size)), dtype)
    product = tf.function(lambda: tf.reduce_sum(matrix @ matrix))
    product().numpy()

    def run() -> dict[str, float]:
        for _ in range(repeats):
            product().numpy()
        return {"gflop": repeats * 2 * size**3 / 1e9}

    return run


def add(size: int, repeats: int = 8) -> Callable[[], dict[str, float]]:
    """Sums of two float32 arrays in place, by a thread a core: how fast the memory is.

    Args:
        size: numbers in an array.
        repeats: how many sums.
    """
    cores = os.cpu_count() or 1
    pairs = [np.ones((2, size // cores), np.float32) for _ in range(cores)]
    pool = ThreadPoolExecutor(cores)

    def run() -> dict[str, float]:
        for _ in range(repeats):
            list(pool.map(lambda pair: np.add(*pair, out=pair[0]), pairs))
        return {"gb": repeats * 3 * 4 * size / 1e9}

    run()
    return run
