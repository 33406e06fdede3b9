"""Files as every stage writes them, whole or not at all; JSON, and digests."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graft.utils.errors import naming

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name to write to, which becomes `path` at the end, or is removed after an error.

    What is there and is no regular file, such as a pipe, is written to itself.

    Raises:
        OSError: as `graft.utils.errors.naming` does.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        with naming(path):
            yield partial
            if partial.exists():
                partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file: indented, keys in the order given, NaN refused."""
    write_text(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def write_csv(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV, without its index."""
    write_text(table.to_csv(index=False, lineterminator="\n"), path)


def write_text(text: str, path: Path) -> None:
    """Write a file in UTF-8, with the ends of lines that the text has."""
    write_bytes(text.encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        partial.write_bytes(content)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Compute a file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, algorithm).hexdigest()
