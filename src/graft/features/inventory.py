"""The inventory of the cache, entries of the store and shards, and its problems; without TensorFlow."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from graft.features.format import UNREADABLE, Row, describe_engine, read_checked, read_metadata
from graft.features.store import check_name, fingerprint_id, list_entries
from graft.utils.files import digest

HOW = ("fill_mode", "interpolation")  # of an augmentation: not worth a word in a table


@dataclass(frozen=True)
class CachedFile:
    """A Parquet file of features: an entry of the store, or a shard of `data/features` or `data/views`.

    ``rows`` is empty where the file is damaged, and ``fault`` says by what.
    """

    path: Path
    bytes: int
    rows: list[Row]
    fault: str = ""


@dataclass(frozen=True)
class Cached:
    """The files of one folder; they carry one fingerprint."""

    folder: Path
    files: list[CachedFile]

    @property
    def damaged(self) -> list[CachedFile]:
        """The files that cannot be used: not Parquet, not finite, or in the store not what they are named."""
        return [file for file in self.files if not file.rows]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Shape, dtype, layout and fingerprint as the first sound file has them; empty if none is sound."""
        return next((read_metadata(file.path) for file in self.files if file.rows), {})

    def origin_of(self, file: CachedFile) -> str | None:
        """The id of the commit that brought an entry; None: it was embedded here."""
        return None if file.path.parent == self.folder else file.path.parent.name

    def summary(self) -> dict[str, Any]:
        """Summarise a folder, as `graft features info --json` prints it.

        Returns:
            ``folder``; ``id`` and ``fingerprint`` (None if no file is sound); ``files`` and how many of them
            are ``damaged``; ``rows``, ``images``, ``views`` (sorted numbers), ``from_commits`` (commit ->
            how many rows it brought); ``bytes`` on disk,
            ``float32_bytes`` of the same rows as dense float32, and ``ratio``, theirs to the former.
        """
        rows = {row for file in self.files for row in file.rows}
        fingerprint = self.metadata.get("fingerprint")
        size = sum(file.bytes for file in self.files)
        brought = Counter[str]()
        for file in self.files:
            if commit := self.origin_of(file):
                brought[commit] += len(file.rows)
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
            "from_commits": dict(brought),
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
    files = {folder: list_entries(folder) for folder in sorted(root.glob("*"))}
    return [Cached(folder, _read_files(entries, _read_entry)) for folder, entries in files.items() if entries]


def read_shards(folder: Path) -> Cached:
    """Read the rows of the shards of `data/features` or `data/views`, which need not exist."""
    return Cached(folder, _read_files(sorted(folder.glob("*.parquet")), _read_shard))


def _read_shard(path: Path) -> list[Row]:
    try:
        metadata = read_metadata(path)
        first, *others = metadata["shape"]  # the channels
    except UNREADABLE as error:
        raise ValueError(f"not a Parquet file of features ({error})") from None
    return read_checked(path, [*others, first], metadata["fingerprint"])[0]


def _read_entry(path: Path) -> list[Row]:
    check_name(path)
    return _read_shard(path)


def _read_files(files: Sequence[Path], read: Callable[[Path], list[Row]]) -> list[CachedFile]:
    def read_file(path: Path) -> CachedFile | None:
        rows, fault = [], ""
        try:
            rows = read(path)
        except ValueError as error:
            fault = str(error)
        except FileNotFoundError:
            return None
        return CachedFile(path, path.stat().st_size, rows, fault) if path.exists() else None

    with ThreadPoolExecutor() as pool:  # an extraction that runs may drop entries meanwhile
        return [file for file in pool.map(read_file, files) if file]


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
    brought = [f"{n:,} rows from commit {commit[:12]}" for commit, n in summary["from_commits"].items()]
    return ", ".join(
        [backbone, fingerprint["weights"], describe_engine(fingerprint), *done, *brought, *damaged]
    )


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
    problems = [f"{name}/{file.path.name}: {file.fault}" for file in shards.damaged]
    problems += _explain(set(wanted) - present, f"that the manifest asks for are not in {name}")
    return problems + _explain(present - set(wanted), f"of {name} are not asked for by the manifest")


def _explain(rows: Collection[Row], what: str) -> list[str]:
    return [f"{len(rows):,} rows {what}, such as key, view = {min(rows)}"] if rows else []
