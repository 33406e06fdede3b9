"""dvc.lock: the parameters that each stage ran with, what it read and what it made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft.utils.files import digest

NOTHING = object()  # the value of a key that is not there: equal to no value


class Lock:
    """A dvc.lock, asked about the stages that it records.

    Args:
        content: of the file.
        params: the content of the params.yaml that results shall be of.
    """

    def __init__(self, content: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        self.stages, self.params = content.get("stages") or {}, params
        self.made = {
            out["path"]: (name, out["md5"])
            for name, stage in self.stages.items()
            for out in stage.get("outs", [])
        }

    def is_current(self, name: str) -> bool:
        """True if a stage and all those before it ran with these parameters, each on what the others made."""
        stage = self.stages.get(name)
        if stage is None or not self._has_params(stage):
            return False
        for dep in stage.get("deps", []):
            maker, md5 = self.made.get(dep["path"], (None, dep.get("md5")))
            if md5 != dep.get("md5") or (maker and not self.is_current(maker)):
                return False
        return True

    def reads(self, name: str, path: str) -> str | None:
        """The md5 of a file that a stage read, None if it read none."""
        deps = self.stages.get(name, {}).get("deps", [])
        return next((dep["md5"] for dep in deps if dep["path"] == path), None)

    def _has_params(self, stage: Mapping[str, Any]) -> bool:
        return all(look_up(self.params, key) == value for key, value in recorded_params(stage).items())


def read_lock(text: str) -> dict[str, Any]:
    """Parse the text of a dvc.lock.

    Raises:
        ValueError: if it cannot be read, as with the markers of a merge conflict.
    """
    try:
        return YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"dvc.lock cannot be read: {reason}; restore it from Git") from None


def recorded_params(stage: Mapping[str, Any]) -> Mapping[str, Any]:
    """Dotted key of params.yaml -> the value that a stage of a dvc.lock ran with."""
    values: Mapping[str, Any] = stage.get("params", {}).get("params.yaml", {})
    return values


def look_up(values: Any, key: str) -> Any:
    """Find the value of a dotted key; `NOTHING` where there is none."""
    for part in key.split("."):
        values = values.get(part, NOTHING) if isinstance(values, Mapping) else NOTHING
    return values


def params_of(root: Path, stage: str, output: Path) -> Mapping[str, Any] | None:
    """Find the parameters of the run that made a file; None where dvc.lock does not record this content.

    Args:
        root: of the DVC repository.
        stage: such as ``train_linear``.
        output: a file, relative to `root`.

    Raises:
        ValueError: if dvc.lock cannot be read.
    """
    file = root / "dvc.lock"
    lock = Lock(read_lock(file.read_text(encoding="utf-8")) if file.is_file() else {}, {})
    made = lock.made.get(output.as_posix()) == (stage, digest(root / output, "md5"))
    return recorded_params(lock.stages[stage]) if made else None
