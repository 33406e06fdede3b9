"""Whether dvc.lock is of the code and the parameters at hand: without any data."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

# What DVC says of data that is not here, as in a fresh clone.
ABSENT = ("deleted", "not in cache")


def stale_stages(root: Path) -> dict[str, list[str]]:
    """The stages that `dvc repro` would run again, apart from those whose data is only absent.

    Args:
        root: of a repository with dvc.yaml.

    Returns:
        stage -> what differs from dvc.lock, such as ``src/graft/split.py modified``; empty where
        the lock is fresh.

    Raises:
        dvc.exceptions.DvcException: if there is no such repository, or dvc.yaml is not valid.
    """
    with Repo(str(root)) as repo:
        status = {stage.rpartition(":")[2]: changes for stage, changes in repo.status().items()}
        added = {
            Path(out.fs_path).relative_to(repo.root_dir).as_posix(): out.hash_info.value
            for stage in repo.index.stages
            if stage.is_data_source
            for out in stage.outs
            if out.is_in_repo
        }
    file = root / "dvc.lock"
    lock = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"] if file.exists() else {}
    stale = {
        stage: [*_differences(changes)] if stage in lock or stage.endswith(".dvc") else ["not in dvc.lock"]
        for stage, changes in status.items()
    }
    for stage, reason in _broken_links(lock, added):
        stale.setdefault(stage, []).append(reason)
    return {stage: reasons for stage, reasons in stale.items() if reasons}


def _differences(changes: Any) -> Iterator[str]:
    """Flatten DVC's list of {"changed deps": {path: state}}; the state of params.yaml is one of keys."""
    for change in changes:
        if isinstance(change, str):
            yield change
            continue
        for entries in change.values():
            for path, state in entries.items():
                states: Mapping[str, str] = state if isinstance(state, Mapping) else {path: state}
                yield from (f"{name} {each}" for name, each in states.items() if each not in ABSENT)


def _broken_links(lock: Mapping[str, Any], added: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Dependencies in the lock that are not what its stage made, or `dvc add` recorded: md5s by path."""
    made = {**added} | {out["path"]: out["md5"] for stage in lock.values() for out in stage.get("outs", [])}
    for name, stage in lock.items():
        for dep in stage.get("deps", []):
            if made.get(dep["path"], dep["md5"]) != dep["md5"]:
                yield name, f"{dep['path']} made anew since"
