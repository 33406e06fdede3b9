"""Numbers of one machine, and the outputs that they belong to: no DVC output, and ignored by Git."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from graft.utils.files import digest, read_json, write_json


def write_values(root: Path, file: Path, values: Mapping[str, Any], outputs: Iterable[Path]) -> None:
    """Write values and the identity of the outputs, files and folders below `root`, that they belong to."""
    identities = {output.as_posix(): identify_output(root / output) for output in outputs}
    write_json({"values": values, "outputs": identities}, root / file)


def read_values(root: Path, folder: Path) -> dict[str, Any]:
    """Read the values of those files of a folder whose outputs are still the ones that they belong to.

    Returns:
        The file's name without ``.json`` -> what `write_values` was given. A file is left out where its
        outputs come from a different run, from the cache, or are not there.

    Raises:
        ValueError: if a file is not JSON.
    """
    found = {}
    for file in sorted((root / folder).glob("*.json")):
        try:
            content = read_json(file)
        except ValueError as error:
            raise ValueError(f"{file.as_posix()} is not JSON ({error}): delete it") from None
        outputs = content.get("outputs", {})
        if outputs and all(
            identify_output(root / output) == identity for output, identity in outputs.items()
        ):
            found[file.stem] = content["values"]
    return found


def identify_output(path: Path) -> str | None:
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
