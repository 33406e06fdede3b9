"""Stages whose record in dvc.lock is not of the code and the parameters at hand: found without any data."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage import PipelineStage, Stage

# What DVC says of data that is not here, as in a fresh clone.
ABSENT = ("deleted", "not in cache")


def stale_stages(repo: Repo) -> dict[str, list[str]]:
    """Find the stages that `dvc repro` would run again, apart from those whose data is only absent.

    Returns:
        stage -> what differs from dvc.lock, such as ``src/graft/split.py modified``; empty where
        the lock is fresh.

    Raises:
        dvc.exceptions.DvcException: if dvc.yaml is not valid.
    """
    names = {stage.addressing: stage_name(stage) for stage in repo.index.stages}
    status = {names[stage]: changes for stage, changes in repo.status().items()}
    locked = {stage_name(stage) for stage in repo.index.stages if _is_locked(stage)}
    stale = {
        stage: [*_differences(changes)] if stage in locked else ["not in dvc.lock"]
        for stage, changes in status.items()
    }
    for stage, reason in _broken_links(repo.index.stages):
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
                if isinstance(state, Mapping):  # of a file's parameters, which Git has
                    yield from (f"{name} {each}" for name, each in state.items())
                elif state not in ABSENT:
                    yield f"{path} {state}"


def _is_locked(stage: Stage) -> bool:
    return not isinstance(stage, PipelineStage) or any(each.hash_info for each in (*stage.deps, *stage.outs))


def _broken_links(stages: Iterable[Stage]) -> Iterator[tuple[str, str]]:
    """Find dependencies in the lock that are not what its stage made, or `dvc add` recorded."""
    stages = list(stages)
    made = {out.fs_path: out.hash_info for stage in stages for out in stage.outs}
    for stage in stages:
        for dep in stage.deps if not stage.frozen else ():
            if dep.hash_info and made.get(dep.fs_path, dep.hash_info) != dep.hash_info:
                yield stage_name(stage), f"{dep} comes from a different run"


def stage_name(stage: Stage) -> str:
    """Name a stage as dvc.lock does; with its file where that is not the root's."""
    path = Path(stage.path).relative_to(stage.repo.root_dir).as_posix()
    name = getattr(stage, "name", None)
    return (name if path == "dvc.yaml" else f"{path}:{name}") if name else path
