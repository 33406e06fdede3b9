"""Examples in docstrings: of the modules that have one, so that no other is imported for it."""

from pathlib import Path

from helpers.repository import ROOT


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a module of src without an example, which to look for one would import."""
    if collection_path.suffix != ".py" or not collection_path.is_relative_to(ROOT / "src"):
        return None
    return True if ">>> " not in collection_path.read_text(encoding="utf-8") else None
