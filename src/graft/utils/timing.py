"""Durations of stages, and the outputs that they belong to.

They differ on every run, so they are no DVC output: ``metrics/timing/<stage>.json`` lies beside the
results, on the machine that computed them, and Git ignores it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from graft.utils.belonging import read_values, write_values

FOLDER = Path("metrics/timing")


def write_timing(root: Path, stage: str, values: Mapping[str, float], outputs: Iterable[Path]) -> None:
    """Write ``metrics/timing/<stage>.json``: durations in seconds, counts, and the outputs they belong to.

    The `outputs` are files and folders below `root` that the stage has just written.
    """
    write_values(root, FOLDER / f"{stage}.json", values, outputs)


def read_timings(root: Path) -> dict[str, dict[str, float]]:
    """Read the durations of those stages whose outputs are still the ones that were timed.

    Returns:
        stage -> what `write_timing` was given.

    Raises:
        ValueError: if a file is not JSON.
    """
    return read_values(root, FOLDER)
