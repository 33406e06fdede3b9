"""DVC's experiments: what differs from the commit that they began at, and what each method reached."""

import json
from collections.abc import Callable, Mapping
from hashlib import md5
from pathlib import Path
from typing import Any, NamedTuple

from graft.config.load import ParamsError, parse_yaml
from graft.config.paths import METRICS
from graft.methods.registry import METHODS
from graft.report.current import name_experiment
from graft.report.lock import Lock, read_lock
from graft.report.provenance import list_overrides
from graft.utils.git import GitError, git

WORKSPACE = "workspace"
Read = Callable[[str], str]


class Experiment(NamedTuple):
    """An experiment, the commit that it began at, or the work tree.

    Attributes:
        name: of DVC's, of the branch, or ``workspace``.
        rev: the first digits of its commit; of the work tree ``workspace``.
        state: such as ``queued`` or ``failed``; done: empty.
        differs: ``key=value`` for each parameter that is not that commit's.
        results: method -> `measure` of it; without those that did not run with these parameters.
    """

    name: str
    rev: str
    state: str
    differs: list[str]
    results: dict[str, dict[str, float]]


def read_experiments(root: Path, shown: list[dict[str, Any]]) -> list[Experiment]:
    """Read the experiments of a DVC repository, as far as `dvc.api.exp_show` lists them.

    Args:
        root: of the repository.
        shown: what `dvc.api.exp_show` gave of it.
    """
    found: list[Experiment] = []
    base: Mapping[str, Any] = _read_params(lambda file: git(root, "show", f"HEAD:./{file}"))
    for row in shown:
        read = _reader(root, row["rev"])
        name, state = row["Experiment"] or row["rev"], (row["State"] or "").lower()
        params = _read_params(read)
        differs = [*list_overrides(base, params)] if params else ["params.yaml cannot be read"]
        if row["rev"] == WORKSPACE and (not differs or name_experiment(root)):
            continue
        results = {} if state in ("queued", "failed", "running") else _read_results(read, params)
        found.append(Experiment(name, row["rev"], state.replace("success", ""), differs, results))
    return found


def measure(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The accuracies of a method, in [0, 1]: ``test`` with its interval ``low``, ``high``; ``validation``.

    These are of the model that is kept; ``test_mean`` and ``validation_mean`` are over the seeds.
    """
    test, seeds = metrics["test"], metrics["seeds"]
    return {
        "test": test["accuracy"],
        "low": test["accuracy_low"],
        "high": test["accuracy_high"],
        "validation": metrics["validation"]["accuracy"],
        "test_mean": seeds["test_accuracy_mean"],
        "validation_mean": seeds["validation_accuracy_mean"],
    }


def _reader(root: Path, rev: str) -> Read:
    """A function that reads a file of a commit, or of the work tree."""
    if rev == WORKSPACE:
        return lambda file: (root / file).read_text(encoding="utf-8")
    return lambda file: git(root, "show", f"{rev}:./{file}")


def _read_params(read: Read) -> dict[str, Any]:
    try:
        return parse_yaml(read("params.yaml"))
    except (GitError, OSError, ParamsError):
        return {}


def _read_results(read: Read, params: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    results = {}
    try:
        lock = Lock(read_lock(read("dvc.lock")), params)
        for name in METHODS:
            path, stage = (METRICS / f"{name}.json").as_posix(), f"evaluate@{name}"
            if not lock.is_current(stage):
                continue
            text = read(path)
            if lock.made[path] == (stage, md5(text.encode(), usedforsecurity=False).hexdigest()):
                results[name] = measure(json.loads(text))
    # A commit without results, a lock with a merge's conflict, or metrics of an older format.
    except (GitError, OSError, LookupError, TypeError, ValueError):
        pass
    return results
