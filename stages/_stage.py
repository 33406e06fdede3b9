"""The frame of every stage: a line when it starts, and one that says what it did and how long it took.

Every script here imports it first: the line is there before what takes long to import.
"""

import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

import _checkout
from _process import hold_lock

STARTED = perf_counter()


def _list_stages() -> dict[str, str]:
    """Each stage's command and name, in the order of dvc.yaml."""
    from ruamel.yaml import YAML

    stages = YAML(typ="safe").load(_checkout.SRC.with_name("dvc.yaml"))["stages"]
    return {
        stage.get("do", stage)["cmd"].replace("${item}", item): f"{name}@{item}" if item else name
        for name, stage in stages.items()
        for item in stage.get("foreach", [""])
    }


def _announce() -> None:
    command = " ".join(["python", f"stages/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    stages = _list_stages()
    if command in stages:
        place = list(stages).index(command) + 1
        print(f"[{place}/{len(stages)}] {stages[command]}", flush=True)
        _check_project(stages[command])
        hold_lock(stages[command])


def _check_project(stage: str) -> None:
    """Refuse to run other code of graft than a project's graft.yaml says; what checks it computes nothing."""
    if Path("graft.yaml").is_file():
        import_module("graft.project.check").check_stages(Path(), stage)


def done(what: str) -> None:
    """Print what the stage did, and the seconds since it started."""
    print(f"  {what}; {perf_counter() - STARTED:.1f} s", flush=True)


_announce()
