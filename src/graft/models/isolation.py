"""Models that do not depend on what the process built before."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras


def build_isolated(build: Callable[[], keras.Model]) -> keras.Model:
    """Build a model in a new thread, where Keras's state is new.

    The names that Keras numbers (``dense_1``, ``conv2d_93``), and with them the bytes of the model's
    file, then depend on the model alone.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(build).result()
