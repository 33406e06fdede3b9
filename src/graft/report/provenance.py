"""The origin of a page: the commit, what differs from it, and the command that rebuilds the page."""

import json
import os
import platform
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from graft import BACKEND
from graft.config.load import parse_yaml, read_params
from graft.report.lock import NOTHING, Lock, look_up, read_lock, recorded_params
from graft.utils.git import GitError, git

# What decides the results besides params.yaml; dvc.lock and metrics/ are results themselves.
CODE = ["src", "stages", "dvc.yaml", "edits.csv", "graft.yaml", "requirements*", "*.dvc"]
LISTED = 5  # changed files, or edited keys, that a note names
ABSENT = "-"  # no value is written like this: text that begins with it stands in quotes
PACKAGES = ("graft", BACKEND, "keras", "scikit-learn", "numpy", "pillow")
HASH = 12  # hexadecimal digits of a commit; Git's own choice depends on what else is in the repository
# Text that needs no quotes in an override.
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
WORDS = {"null", "true", "false", "nan", "inf"}
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Provenance(NamedTuple):
    """The origin of a page.

    Attributes:
        commit: the first digits of HEAD's hash; None without a commit.
        date: HEAD's committer date, ISO 8601; None without a commit.
        command: what rebuilds the page, in a clone; None without a commit.
        notes: sentences on what the command does not bring back.
        changes: the key, old and new value of each parameter that is not as in the commit.
        machine: the CPU, cores and system that drew the page.
        versions: of graft and what computes for it.
    """

    commit: str | None
    date: str | None
    command: str | None
    notes: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...] = ()
    machine: str = ""
    versions: str = ""


NO_COMMIT = Provenance(None, None, None, ("Git has no commit of this work: no command rebuilds it yet.",))


def name_dataset(dataset: str, source: str) -> str:
    """Name the dataset: a folder of images or an archive of one by its own name."""
    return Path(source).name if dataset == "folder" else dataset


def describe_commit(root: Path) -> Provenance:
    """Describe the commit of a work tree with a params.yaml, and what differs from it."""
    try:
        commit, date = git(root, "log", "-1", "--format=%H %cI").split()
        prefix = git(root, "rev-parse", "--show-prefix").removesuffix("\n")
        committed = parse_yaml(git(root, "show", "HEAD:./params.yaml"), "the committed params.yaml")
        changed = [line[3:] for line in git(root, "status", "--porcelain", "--", *CODE).splitlines()]
    except GitError:
        return NO_COMMIT
    params = read_params(root / "params.yaml")
    shown = without_folders(params)
    overrides = [*list_overrides(committed, shown)]
    settings = " ".join(f"-S {shlex.quote(override)}" for override in overrides)
    if (root / "graft.yaml").is_file():  # a project of `graft new`
        run = f"dvc exp run {settings}" if overrides else "graft repro"
    else:
        run = (
            f'make setup && PATH="$PWD/.venv/bin:$PATH" dvc exp run {settings}' if overrides else "make repro"
        )
    folder = f"cd {shlex.quote(prefix)} && " * bool(prefix)
    command = f"git switch --detach {commit[:HASH]} && {folder}{run}"
    notes = (*_describe_edits(root, params), *_notes(params, overrides, changed))
    return Provenance(commit[:HASH], date, command, notes, tuple(list_changes(committed, shown)))


def _describe_edits(root: Path, params: Mapping[str, Any]) -> Iterator[str]:
    """A sentence on values of params.yaml that are not those of the training runs, by dvc.lock."""
    text = _read(root / "dvc.lock")
    edited = dict[str, None]()
    for name, stage in Lock(read_lock(text), params).stages.items():
        if name.startswith("train_"):
            then = recorded_params(stage)
            now = {key: value for key in then if (value := look_up(params, key)) is not NOTHING}
            edited |= dict.fromkeys(key for key, *_ in list_changes(then, now))
    if edited:
        keys = _list_some([*edited])
        yield f"params.yaml was edited after the training runs, so these values are not theirs: {keys}."


def _list_some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" * (len(names) > LISTED)
    return f"{', '.join(names[:LISTED])}{more}"


def describe_machine() -> tuple[str, str]:
    """Describe the machine and the versions installed on it, without a name or address."""
    cpu = re.search(r"model name\s*: (.+)", _read(Path("/proc/cpuinfo")))
    name = cpu[1] if cpu else platform.processor() or platform.machine()
    installed = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}",
        f"Python {platform.python_version()}, {installed}",
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _notes(params: Mapping[str, Any], overrides: list[str], changed: list[str]) -> Iterator[str]:
    if overrides:
        n = len(overrides)
        yield f"{n} {'value' if n == 1 else 'values'} of params.yaml differ{'s' * (n == 1)} from that commit."
    if changed:
        yield f"Code that is not in that commit was in use: {_list_some(sorted(changed))}."
    if params.get("dataset") == "folder":
        yield "It needs the same images in the folder or archive that “source” names."
    if params.get("features", {}).get("engine") == "openvino":
        yield "It needs OpenVINO: pip install 'graft[openvino]'."
    if without_folders(params) != params:
        yield "“/path/to” stands for a folder of the machine that made this page."


def without_folders(values: Any) -> Any:
    """Leave out the folders of absolute paths: the page is sent to others."""
    if isinstance(values, Mapping):
        return {key: without_folders(value) for key, value in values.items()}
    if isinstance(values, str) and (Path(values).is_absolute() or values.startswith("~")):
        return f"/path/to/{Path(values).name}"
    return values


def list_overrides(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """List the arguments of `dvc exp run -S` that turn one params.yaml into another.

    Args:
        old: the content of a params.yaml.
        new: of another one.

    Yields:
        ``key=value``, ``+key=value`` where only the new one has it, ``~key`` where only the old one
        has; values as Hydra reads them.
    """
    for key, before, after in list_changes(old, new):
        yield f"~{key}" if after == ABSENT else f"{'+' * (before == ABSENT)}{key}={after}"


def list_changes(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """List key, old and new value of what differs, as `show_value` writes them; `ABSENT` where there is none.

    `old` and `new` are as in `list_overrides`; `prefix` goes before their keys, for blocks in them.
    """
    for name in [*old, *(name for name in new if name not in old)]:
        key = f"{prefix}{name}"
        if name in old and name in new and _are_blocks(old[name], new[name]):
            yield from list_changes(old[name], new[name], f"{key}.")
        elif name not in old or name not in new or old[name] != new[name]:
            before, after = (show_value(one[name]) if name in one else ABSENT for one in (old, new))
            yield key, before, after


def _are_blocks(old: Any, new: Any) -> bool:
    """True if both are mappings whose keys can stand in a dotted key."""
    are_mappings = isinstance(old, Mapping) and isinstance(new, Mapping)
    return are_mappings and all(KEY.fullmatch(str(name)) for name in [*old, *new])


def show_value(value: Any) -> str:
    """Write a value of params.yaml in Hydra's override grammar: YAML's flow style but for the quotes."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_escape(str(key))}: {show_value(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(show_value, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    return quote(value)


def quote(text: str) -> str:
    """Write text in quotes for Hydra, which reads backslashes as they are but for those before a quote.

    >>> print(quote('a "b"'))
    "a \\"b\\""
    """
    quoted = re.sub(r'(\\*)("|$)', lambda match: match[1] * 2 + match[2].replace('"', r"\""), text)
    return f'"{quoted}"'


def _escape(key: str) -> str:
    return re.sub(r"([\\()\[\]{}:=, \t])", r"\\\1", key)
