"""Durations of stages, and the outputs that they belong to.

They differ on every run, so they are no DVC output: ``metrics/timing/<stage>.json`` lies beside the
results, on the machine that computed them, and Git ignores it.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from graft.utils.files import digest, read_json, write_json

FOLDER = "metrics/timing"


def write_timing(root: Path, stage: str, values: Mapping[str, float], outputs: Iterable[Path]) -> None:
    """Write ``metrics/timing/<stage>.json``: durations in seconds, counts, and the outputs they belong to.

    The `outputs` are files and folders below `root` that the stage has just written.
    """
    identities = {output.as_posix(): _identify(root / output) for output in outputs}
    write_json({"values": values, "outputs": identities}, root / FOLDER / f"{stage}.json")


def read_timings(root: Path) -> dict[str, dict[str, float]]:
    """Read the durations of those stages whose outputs are still the ones that were timed.

    Returns:
        stage -> what `write_timing` was given. A stage is left out where its outputs come from a different
        run, from the cache, or are not there.

    Raises:
        ValueError: if a file is not JSON.
    """
    timings = {}
    for file in sorted((root / FOLDER).glob("*.json")):
        try:
            timed = read_json(file)
        except ValueError as error:
            raise ValueError(f"{file.as_posix()} is not JSON ({error}): delete it") from None
        outputs = timed.get("outputs", {})
        if outputs and all(_identify(root / output) == identity for output, identity in outputs.items()):
            timings[file.stem] = timed["values"]
    return timings


def _identify(path: Path) -> str | None:
    """Hash a file, or of a folder every file's name, size and Parquet footer; None where nothing is there."""
    if path.is_file():
        return digest(path)
    if not path.is_dir():
        return None
    total = sha256()
    for file_path in sorted(each for each in path.rglob("*") if each.is_file()):
        name, size = file_path.relative_to(path).as_posix(), file_path.stat().st_size
        total.update(f"{name}\0{size}\0".encode() + _read_footer(file_path, size))
    return total.hexdigest()


def _read_footer(path: Path, size: int) -> bytes:
    """Read the footer of a Parquet file (parquet.apache.org/docs/file-format), or any other file in full."""
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read()
        is_parquet = tail.endswith(b"PAR1")
        file.seek(max(0, size - 8 - int.from_bytes(tail[:4], "little")) if is_parquet else 0)
        return file.read()
