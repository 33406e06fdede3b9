"""graft.yaml, a project's version file: the version of graft, and a digest of the code of each stage."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

PACKAGE = Path(__file__).parents[1]
FILE = Path("graft.yaml")
CODE, MODULES, FILES = "code", "modules", "files"  # its blocks
COMMENT = """\
# The graft that this project's results are of. A stage runs again when the digest of its code changes, not
# because graft has another version. `graft upgrade` writes this file; do not edit it.
"""
DIGITS = 16


def describe_code(graph: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the installed graft as graft.yaml does.

    Args:
        graph: the dvc.yaml of graft's repository, whose stages depend on modules.

    Returns:
        ``version``; ``code``: stage -> digest of the modules that it runs; ``modules``: module -> digest.
    """
    modules: dict[str, str] = {}
    code = {}
    for name, stage in graph["stages"].items():
        deps = [str(dep) for dep in stage.get("do", stage)["deps"]]
        used = sorted(dep.removeprefix("src/graft/") for dep in deps if dep.startswith("src/graft/"))
        for module in used:
            modules[module] = modules.get(module) or _digest(PACKAGE / module)
        code[name] = _hash("".join(f"{module} {modules[module]}\n" for module in used))
    return {"version": version("graft"), CODE: code, MODULES: dict(sorted(modules.items()))}


def digest_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The digest of each file that graft writes in a project, by which an upgrade knows a person's edits."""
    return {name: _hash(text) for name, text in texts.items()}


def _digest(place: Path) -> str:
    """The digest of a module, or of all in a folder."""
    if place.is_dir():
        return _hash("".join(f"{file.name} {_digest(file)}\n" for file in sorted(place.glob("*.py"))))
    return sha256(place.read_bytes()).hexdigest()[:DIGITS]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:DIGITS]


def read_code(root: Path) -> dict[str, Any]:
    """Read graft.yaml.

    Raises:
        FileNotFoundError: if there is none: this is no project of `graft new`.
        ValueError: if it is none that graft wrote.
    """
    try:
        found = YAML(typ="safe").load(root / FILE)
        assert {type(found[CODE]), type(found["version"])} == {dict, str}
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{root / FILE} does not exist: expected a project that `graft new` made (a checkout of graft is "
            "upgraded by Git)"
        ) from None
    except Exception:
        raise ValueError(f"{root / FILE} is not as `graft upgrade` wrote it: restore it from Git") from None
    return dict(found)


def write_code(described: Mapping[str, Any], root: Path) -> None:
    """Write graft.yaml."""
    yaml = YAML()
    yaml.width = 200
    with (root / FILE).open("w", encoding="utf-8") as file:
        file.write(COMMENT)
        yaml.dump(dict(described), file)
