"""The results that are of params.yaml as it is, and those of a different run: dvc.lock tells them apart."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graft.config.load import read_params
from graft.config.paths import METRICS, TTA
from graft.evaluation.rows import count_members, describe_method
from graft.methods.registry import METHODS
from graft.report.lock import Lock, read_lock
from graft.report.provenance import name_dataset
from graft.utils.files import digest, read_json
from graft.utils.git import GitError, git

EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(.+)")


class Current(NamedTuple):
    """The results of a repository that are of its params.yaml.

    Attributes:
        comparison: as `graft.evaluation.compare.compare` gives it, of these methods alone; the ``pairs`` are
            those that were tested with these results, and ``tta`` (see `read_views`) is there where views
            were scored with these parameters.
        others: the methods whose results are of a different run, or not there.
        dataset: its name; None without a params.yaml.
        experiment: DVC's name of it; None where this is none.
    """

    comparison: dict[str, Any]
    others: list[str]
    dataset: str | None
    experiment: str | None


def read_current(root: Path) -> Current:
    """Read what `evaluate` and `compare` left in a repository, as far as it is of its params.yaml.

    Without a dvc.lock nothing is known, and all of it counts.

    Raises:
        FileNotFoundError: if no method was evaluated.
        ValueError: if a file cannot be read.
    """
    files = {name: root / METRICS / f"{name}.json" for name in METHODS}
    files = {name: file for name, file in files.items() if file.is_file()}
    if not files:
        raise FileNotFoundError(f"no {(root / METRICS).as_posix()}/<method>.json")
    params, lock = None, None
    if (root / "dvc.lock").is_file():
        params = read_params(root / "params.yaml")
        lock = Lock(read_lock((root / "dvc.lock").read_text(encoding="utf-8")), params)
    metrics = {name: _read(file) for name, file in files.items() if not lock or _is_current(name, file, lock)}
    return Current(
        _compare(root, metrics, lock),
        [name for name in METHODS if name not in metrics],
        name_dataset(params["dataset"], params["source"]) if params else None,
        name_experiment(root),
    )


def name_experiment(root: Path) -> str | None:
    """Find DVC's name of the experiment that runs, or whose parameters and lock a work tree has."""
    if name := os.environ.get("DVC_EXP_NAME"):
        return name
    if _is_as_in(root, "HEAD"):
        return None
    try:
        refs = git(root, "for-each-ref", "--sort=-creatordate", "--format=%(refname)", "refs/exps").split()
    except GitError:
        return None
    names = {ref: found[1] for ref in refs if (found := EXPERIMENT.fullmatch(ref))}
    return next((name for ref, name in names.items() if _is_as_in(root, ref)), None)


def _is_as_in(root: Path, revision: str) -> bool:
    try:
        git(root, "diff", "--quiet", revision, "--", "params.yaml", "dvc.lock")
    except GitError:
        return False
    return True


def _is_current(name: str, file: Path, lock: Lock) -> bool:
    stage = f"evaluate@{name}"
    recorded = lock.made.get((METRICS / file.name).as_posix())
    return recorded == (stage, digest(file, "md5")) and lock.is_current(stage)


def _compare(root: Path, metrics: Mapping[str, Any], lock: Lock | None) -> dict[str, Any]:
    file, pairs = root / METRICS / "comparison.json", []
    if file.is_file():
        compared = [name for name in metrics if not lock or _was_compared(name, file, lock)]
        pairs = [pair for pair in _read(file)["pairs"] if {pair["first"], pair["second"]} <= {*compared}]
    return {
        "methods": [describe_method(name, one["facts"], one) for name, one in metrics.items()],
        "members": count_members({name: one["facts"] for name, one in metrics.items()}),
        "test_accuracy_by_seed": {
            name: [value["test_accuracy"] for value in one["seeds"]["values"]]
            for name, one in metrics.items()
        },
        "confidence": next((one["confidence"] for one in metrics.values()), None),
        "pairs": pairs,
        **(read_views(root, metrics) if not lock or lock.is_current("tta") else {}),
    }


def read_views(root: Path, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Read the entry ``tta`` of a comparison: what `graft.evaluation.views.compare_views` gave.

    There is none where no views were scored, or not by models that have these metrics (method -> values).
    """
    file = root / TTA / "index.json"
    found: Any = _read(file) if file.is_file() else {"tta": 0}
    plain = {row["method"]: row["plain"]["test"]["accuracy"] for row in found.get("methods", [])}
    of_these = {name: one["test"]["accuracy"] for name, one in metrics.items()}
    return {"tta": found} if found["tta"] and plain == of_these else {}


def _was_compared(name: str, comparison: Path, lock: Lock) -> bool:
    path = (METRICS / f"{name}.json").as_posix()
    return lock.reads("compare", path) == lock.made[path][1] and _is_recorded(comparison, lock)


def _is_recorded(comparison: Path, lock: Lock) -> bool:
    return lock.made.get((METRICS / comparison.name).as_posix()) == ("compare", digest(comparison, "md5"))


def _read(file: Path) -> Any:
    try:
        return read_json(file)
    except ValueError as error:
        raise ValueError(f"{file.as_posix()} is not JSON ({error}): delete it and run `dvc repro`") from None
