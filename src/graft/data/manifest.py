"""The manifest: the table ``key, path, label, split``, sorted by path."""

from pathlib import Path

import pandas as pd

from graft.utils.files import write_csv

COLUMNS = ["key", "path", "label", "split"]


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Write a manifest as CSV, sorted by path."""
    write_csv(manifest[COLUMNS].sort_values("path"), path)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest as a frame of strings; a label such as ``NA`` or ``007`` stays the text that it is."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n")


def class_names(manifest: pd.DataFrame) -> list[str]:
    """List the labels, sorted; a label's position is its class number everywhere."""
    return sorted(manifest["label"].unique())
