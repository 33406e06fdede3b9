"""Functions that workers are given in tests, and can import."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from graft.data import images


def list_modules(_: np.ndarray, __: int) -> set[str]:
    """List what is imported."""
    return set(sys.modules)


def fill(room: np.ndarray, number: int) -> int:
    """Fill the room with a number; and print, which must not disturb."""
    print(number, file=sys.stderr)
    room[...] = number
    return number


def refuse(_: np.ndarray, number: int) -> None:
    """Raise an error of the decoder from the third on."""
    if number >= 2:
        raise images.ImageError(f"{number} is too much")


def end(_: np.ndarray, number: int) -> None:
    """Kill this process, the third time, while it holds what others wait for."""
    with images.PIXELS.taken(1, 1):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def take_all(_: np.ndarray, log: Path) -> int:
    """Note when the whole budget is taken, and that it will be given back."""
    with images.PIXELS.taken(10, 10), log.open("a") as file:
        for letter in "ab":
            file.write(letter)
            file.flush()
            sum(range(100_000))  # long enough for another to begin
    return os.getpid()
