"""The precision that a model computes in, and this machine's instructions for it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cpuinfo
import keras

from graft.config.features import Precision
from graft.models.backend import has_gpu

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, Arm


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Layers made inside compute in this precision; their weights are float32 in either case.

    Warns where ``bfloat16`` has to be emulated.
    """
    if precision == "bfloat16" and not has_bfloat16():
        warnings.warn(
            "precision=bfloat16: this machine has no bfloat16 instructions, so it will be slow; "
            "float32 is faster here",
            stacklevel=4,
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16() -> bool:
    """Tell if this machine computes in bfloat16 natively: its CPU has the instructions, or there is a GPU."""
    flags = cpuinfo.get_cpu_info().get("flags", ())
    return bool(BFLOAT16_FLAGS.intersection(flags) or has_gpu())
