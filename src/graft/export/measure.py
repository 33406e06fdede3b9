"""A model file run in a process of its own, as its user will run it: its scores, and how fast it is."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np

from graft.export.registry import Session, format_of

SIZES = ("1", "16")  # of batches, as JSON has them
SECONDS, LEAST_CALLS = 1.0, 5  # that a speed is measured for


class Measured(NamedTuple):
    """A run of a model file.

    Attributes:
        scores: (n, n_classes) of the images.
        images_per_second: batch size -> the median; on one thread of a second of the CPU, so that what else
            runs on the machine hardly counts.
    """

    scores: np.ndarray
    images_per_second: dict[str, float]


def measure_apart(path: Path, images: np.ndarray, threads: int | None) -> Measured:
    """Run a model file in a new process, so that nothing that is loaded here has a part in it.

    Args:
        path: the file.
        images: (n, size, size, channels) uint8, n > 0.
        threads: None: as many as the runtime takes by itself.

    Raises:
        ValueError: if its runtime cannot load it.
    """
    with TemporaryDirectory() as folder:
        pixels, result = Path(folder, "pixels.npy"), Path(folder, "result.npz")
        np.save(pixels, images)
        command = [sys.executable, "-m", __name__, str(path), str(pixels), str(threads or ""), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise ValueError(f"{path.name} does not run: {said}")
        with np.load(result) as found:
            return Measured(found["scores"], dict(zip(SIZES, found["speeds"].tolist(), strict=True)))


def environment() -> dict[str, str]:
    """The environment of a process that imports this very graft."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def measure(path: Path, images: np.ndarray, threads: int | None) -> Measured:
    """Run a model file in this process; as `measure_apart`."""
    session = format_of(path).load().open_session(path, threads)
    most = int(SIZES[-1])
    batches = [session(images[start : start + most]).scores for start in range(0, len(images), most)]
    return Measured(
        np.concatenate(batches), {size: _measure_speed(session, images, int(size), threads) for size in SIZES}
    )


def _measure_speed(session: Session, images: np.ndarray, n: int, threads: int | None) -> float:
    batch, seconds = np.resize(images, (n, *images.shape[1:])), list[float]()
    clock = process_time if threads == 1 else perf_counter
    session(batch)
    while len(seconds) < LEAST_CALLS or sum(seconds) < SECONDS:
        started = clock()
        session(batch)
        seconds.append(clock() - started)
    return round(n / median(seconds), 2)


if __name__ == "__main__":
    file, pixels, threads, result = sys.argv[1:]
    measured = measure(Path(file), np.load(pixels), int(threads) if threads else None)
    np.savez(result, scores=measured.scores, speeds=list(measured.images_per_second.values()))
