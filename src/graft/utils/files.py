"""JSON as every stage writes it, and digests of files."""

import json
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file: indented, keys in the order given, NaN refused; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Compute a file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, algorithm).hexdigest()
