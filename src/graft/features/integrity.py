"""Whether `data/features` is what DVC recorded and what the manifest asks for, without TensorFlow."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from dvc.api import DVCFileSystem

from graft.features.format import Row
from graft.features.inventory import Cached


def recorded_md5s(repo: Path, folder: str) -> dict[str, str]:
    """The md5 of each file of a folder that DVC tracks: dvc.lock names their list, a cache holds it.

    Args:
        repo: root of the DVC repository.
        folder: path in it.

    Raises:
        Exception: of DVC or of any kind of remote, if the list is not to be had.
    """
    files = DVCFileSystem(str(repo)).ls(folder, detail=True, dvc_only=True)
    return {Path(file["name"]).name: file["dvc_info"]["md5"] for file in files}


def check_md5s(folder: Path, recorded: dict[str, str]) -> list[str]:
    """Compare the files of a folder with their recorded md5s; a sentence for each that differs."""
    present = {file.name: _md5(file) for file in folder.iterdir()}
    problems = []
    for name in sorted(present.keys() | recorded.keys()):
        if name not in present:
            problems.append(f"{folder.name}/{name}: missing, though DVC recorded it")
        elif name not in recorded:
            problems.append(f"{folder.name}/{name}: not among the files that DVC recorded")
        elif present[name] != recorded[name]:
            problems.append(f"{folder.name}/{name}: its md5 is not the one that DVC recorded")
    return problems


def check_rows(shards: Cached, manifest: pd.DataFrame, views: int) -> list[str]:
    """Compare the rows of `data/features` with what a manifest asks for.

    Args:
        shards: as `read_shards` returned them.
        manifest: every image is expected plain, those of train also in views 1..`views`.
        views: how many.

    Returns:
        A sentence for each shard that is not readable, for missing rows, and for rows too many.
    """
    train = manifest.loc[manifest["split"] == "train", "key"]
    wanted = {(key, 0) for key in manifest["key"]}
    wanted |= {(key, view) for key in train for view in range(1, views + 1)}
    present = {row for file in shards.files for row in file.rows}
    name = shards.folder.name
    problems = [f"{name}/{file.path.name}: not a Parquet file of features" for file in shards.damaged]
    problems += _explain(sorted(wanted - present), f"that the manifest asks for are not in {name}")
    return problems + _explain(sorted(present - wanted), f"of {name} are not asked for by the manifest")


def _explain(rows: Sequence[Row], what: str) -> list[str]:
    return [f"{len(rows):,} rows {what}, such as key, view = {rows[0]}"] if rows else []


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
