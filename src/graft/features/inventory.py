"""The inventory of the cache, entries of the store and shards, and its problems; without TensorFlow."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from graft.features.format import Row, read_metadata, read_rows
from graft.features.store import fingerprint_id
from graft.utils.files import digest

HOW = ("fill_mode", "interpolation")  # of an augmentation: not worth a word in a table


@dataclass(frozen=True)
class CachedFile:
    """A Parquet file of features: an entry of the store, or a shard of `data/features` or `data/views`.

    ``rows`` is empty where the file is damaged.
    """

    path: Path
    bytes: int
    rows: list[Row]


@dataclass(frozen=True)
class Cached:
    """The files of one folder; they carry one fingerprint."""

    folder: Path
    files: list[CachedFile]

    @property
    def damaged(self) -> list[CachedFile]:
        """The files that cannot be used: not Parquet, or in the store not what they are named."""
        return [file for file in self.files if not file.rows]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Shape, dtype, layout and fingerprint as the first sound file has them; empty if none is sound."""
        return next((read_metadata(file.path) for file in self.files if file.rows), {})

    def summary(self) -> dict[str, Any]:
        """Summarise a folder, as `graft features info --json` prints it.

        Returns:
            ``folder``; ``id`` and ``fingerprint`` (None if no file is sound); ``files`` and how many of them
            are ``damaged``; ``rows``, ``images``, ``views`` (sorted numbers); ``bytes`` on disk,
            ``float32_bytes`` of the same rows as dense float32, and ``ratio``, theirs to the former.
        """
        rows = {row for file in self.files for row in file.rows}
        fingerprint = self.metadata.get("fingerprint")
        size = sum(file.bytes for file in self.files)
        dense = 4 * len(rows) * prod(self.metadata.get("shape", [0]))
        return {
            "folder": self.folder.as_posix(),
            "id": fingerprint and fingerprint_id(fingerprint),
            "fingerprint": fingerprint,
            "files": len(self.files),
            "damaged": len(self.damaged),
            "rows": len(rows),
            "images": len({key for key, _ in rows}),
            "views": sorted({view for _, view in rows}),
            "bytes": size,
            "float32_bytes": dense,
            "ratio": dense / size if size else 0.0,
        }


def read_store(root: Path) -> list[Cached]:
    """Read the rows of every entry of a store, and verify its checksum; nothing is changed.

    Args:
        root: the folder of all fingerprints, such as ``.graft/features``; it need not exist.

    Returns:
        One item for each fingerprint that has entries, in order of their folders' names.
    """
    folders = sorted({file.parent for file in root.glob("*/*.parquet")})
    return [Cached(folder, _read_files(folder, verify=True)) for folder in folders]


def read_shards(folder: Path) -> Cached:
    """Read the rows of the shards of `data/features` or `data/views`, which need not exist."""
    return Cached(folder, _read_files(folder, verify=False))


def _read_files(folder: Path, verify: bool) -> list[CachedFile]:
    def read(path: Path) -> CachedFile:
        rows = []
        with suppress(pa.ArrowException, OSError, KeyError):
            if not verify or digest(path) == path.stem:
                rows = read_rows(path)
        return CachedFile(path, path.stat().st_size, rows)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(read, sorted(folder.glob("*.parquet"))))


def build_table(summaries: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    """Build the table of `graft features info`, a row for each (place, summary); it fits 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("place", no_wrap=True)
    table.add_column("features of")
    for header in ("rows", "images", "views", "size", "float32\n/ size"):
        table.add_column(header, justify="right", no_wrap=True)
    for place, summary in summaries:
        views = "-".join(map(str, dict.fromkeys([*summary["views"][:1], *summary["views"][-1:]])))
        counts = [f"{summary['rows']:,}", f"{summary['images']:,}", views]
        sizes = [decimal(summary["bytes"]), f"{summary['ratio']:.1f}"]
        table.add_row(place, Text(_describe(summary)), *counts, *sizes)
    return table


def _describe(summary: dict[str, Any]) -> str:
    """Describe a fingerprint in a line: backbone, weights, precision, and what the augmentation does."""
    damaged = [f"{summary['damaged']} of {summary['files']} files damaged"] if summary["damaged"] else []
    fingerprint = summary["fingerprint"]
    if fingerprint is None:
        return damaged[0]
    pooling = "" if fingerprint["pooling"] == "none" else f" {fingerprint['pooling']}"
    backbone = f"{fingerprint['application']} {fingerprint['layer']}{pooling} {fingerprint['image_size']} px"
    spec = fingerprint.get("augmentation", {"plain": ""})
    done = [f"{name} {value}".strip() for name, value in spec.items() if name not in HOW]
    return ", ".join([backbone, fingerprint["weights"], fingerprint["precision"], *done, *damaged])


def recorded_md5s(repo: Path, folder: str) -> dict[str, str]:
    """Read the md5 of each file of a folder that DVC tracks: dvc.lock names their list, a cache holds it.

    Raises:
        Exception: of DVC or of any kind of remote, if the list cannot be read.
    """
    from dvc.api import DVCFileSystem  # not at the top: `graft features info` does without

    files = DVCFileSystem(str(repo)).ls(folder, detail=True, dvc_only=True)
    return {Path(file["name"]).name: file["dvc_info"]["md5"] for file in files}


def check_md5s(folder: Path, recorded: dict[str, str]) -> list[str]:
    """Compare the files of a folder with their recorded md5s; a sentence for each that differs."""
    present = {file.name: digest(file, "md5") for file in folder.glob("*")}
    both = present.keys() & recorded.keys()
    differing = {name for name in both if present[name] != recorded[name]}
    wrong = {
        "missing, though DVC recorded it": recorded.keys() - both,
        "not among the files that DVC recorded": present.keys() - both,
        "its md5 is not the one that DVC recorded": differing,
    }
    return [f"{folder.name}/{name}: {what}" for what, names in wrong.items() for name in sorted(names)]


def check_rows(shards: Cached, wanted: Collection[Row]) -> list[str]:
    """Compare the rows of shards, as `read_shards` returned them, with those that a manifest asks for.

    Returns:
        A sentence for each shard that is not readable, for missing rows, and for superfluous rows.
    """
    present = {row for file in shards.files for row in file.rows}
    name = shards.folder.name
    problems = [f"{name}/{file.path.name}: not a Parquet file of features" for file in shards.damaged]
    problems += _explain(set(wanted) - present, f"that the manifest asks for are not in {name}")
    return problems + _explain(present - set(wanted), f"of {name} are not asked for by the manifest")


def _explain(rows: Collection[Row], what: str) -> list[str]:
    return [f"{len(rows):,} rows {what}, such as key, view = {min(rows)}"] if rows else []
