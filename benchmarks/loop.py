"""A new head to the finished report: what a person waits for who changes a value of params.yaml."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "5b62a50"  # where each stage imported its libraries, and each heat map was drawn, each time

Timed = Callable[[], dict[str, float]]


def has_baseline() -> bool:
    """True if the repository has that commit, as a shallow clone may not."""
    command = ["git", "cat-file", "-e", f"{BASELINE}^{{commit}}"]
    return not subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=False).returncode


def clone(folder: str, revision: str) -> Timed:
    """A clone of the repository at a revision, with the demo run."""

    def make() -> dict[str, float]:
        _call(ROOT, "git", "clone", "--quiet", "--no-checkout", str(ROOT), folder)
        for name in ("user.name", "user.email"):  # for experiments
            _call(folder, "git", "config", name, "benchmark")
        _call(folder, "git", "checkout", "--quiet", revision)
        _call(folder, "dvc", "repro")
        _call(folder, "git", "commit", "--quiet", "--all", "--allow-empty", "--message", "This machine's")
        return {}

    return make


def new_head(folder: str, command: Sequence[str], dropout: float) -> Timed:
    """An experiment in such a clone, with another head of `two_stage`."""

    def run() -> dict[str, float]:
        _call(folder, *command, "-S", f"two_stage.head.dropout={dropout}")
        return {}

    return run


def _call(folder: str | Path, *command: str) -> None:
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PATH": paths
    }
    subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=True)
