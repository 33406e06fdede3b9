"""The import closures of the stages, and dvc.yaml as it should be: `make graph` writes them there."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
DATASETS = "src/graft/data/datasets"
PAGE = "src/graft/report/page.py"


def script(stage: Mapping[str, Any]) -> Path:
    """The script that a stage runs."""
    return ROOT / str(stage["cmd"]).split()[1]


def closure(stage: Mapping[str, Any]) -> set[str]:
    """The project files whose code a stage runs, as dvc.yaml names them.

    What is imported by name counts, too: a method by the script that trains one, and all datasets, as a
    folder, by who loads one. What holds a docstring alone does not: DVC spends milliseconds on each.
    """
    names = reachable(script(stage))
    if script(stage).name == "train.py":
        names |= reachable(SRC / f"graft/methods/{stage['cmd'].split()[2]}.py")
    if PAGE in names:
        names |= {name_of(file) for file in (ROOT / PAGE).parent.glob("page.[!p]*")}
    if any(name.startswith(DATASETS) for name in names):
        for file in (ROOT / DATASETS).glob("*.py"):
            names |= reachable(file)
        names = {name for name in names if not name.startswith(DATASETS)} | {DATASETS}
    return {name for name in names if not is_docstring(ROOT / name)}


def is_docstring(file: Path) -> bool:
    """True for a module without code."""
    code = ast.parse(file.read_text(encoding="utf-8")).body if file.suffix == ".py" else [None]
    return all(isinstance(node, ast.Expr) for node in code)


def reachable(file: Path) -> set[str]:
    """The project files that importing a file runs, itself among them."""
    todo, seen = [file], set[Path]()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imports(file)
    return {name_of(file) for file in seen}


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def imports(file: Path) -> frozenset[Path]:
    """The project files that a file imports directly, and that have a part in what it computes.

    `write_timing` has none: the durations that it writes are no output. Who reads them depends on its module.
    Imports for the type checker have none either.
    """
    found: set[Path] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {each for node in ast.walk(tree) if is_for_types(node) for each in ast.walk(node)}
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == ["write_timing"]:
            continue
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            found |= resolve(name, file)
    return frozenset(found)


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def resolve(name: str, file: Path) -> set[Path]:
    """The files that importing a dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if parts[0] != "graft":
        sibling = file.parent / f"{parts[0]}.py"
        return {sibling} if len(parts) == 1 and sibling.exists() and file.parent.name == "stages" else set()
    found = set()
    for depth in range(1, len(parts) + 1):
        place = SRC.joinpath(*parts[:depth])
        found |= {f for f in (place / "__init__.py", place.with_suffix(".py")) if f.exists()}
    return found


def loaded_params(stage: Mapping[str, Any]) -> set[str]:
    """The keys of params.yaml that a stage's script loads: those it lists, and `PARAMS` of its module."""
    nodes = list(ast.walk(ast.parse(script(stage).read_text(encoding="utf-8"))))
    modules = [
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and any(alias.name == "PARAMS" for alias in node.names)
    ]
    if script(stage).name == "train.py":
        modules.append(f"graft.methods.{stage['cmd'].split()[2]}")
    listed = {
        key.value
        for node in nodes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_params"
        for argument in node.args
        if isinstance(argument, ast.Dict)
        for key in argument.keys
        if isinstance(key, ast.Constant)
    }
    return listed.union(*(import_module(module).PARAMS for module in modules))


def with_closures(text: str) -> str:
    """The text of a dvc.yaml with the code that its stages depend on: scripts, modules, then data."""
    yaml = YAML()
    yaml.width = 200
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    graph = yaml.load(text)
    for stage in bodies(graph):
        deps = stage["deps"]
        data = [dep for dep in deps if not str(dep).startswith(("src/", "stages/"))]
        deps[:] = [*sorted(closure(stage), key=lambda name: (name.startswith("src/"), name)), *data]
    written = StringIO()
    yaml.dump(graph, written)
    return written.getvalue()


def bodies(graph: Mapping[str, Any]) -> Iterator[Any]:
    """The stages of a dvc.yaml; those of a `foreach` stand one level deeper."""
    for stage in graph["stages"].values():
        yield stage.get("do", stage)


if __name__ == "__main__":
    file = ROOT / "dvc.yaml"
    file.write_text(with_closures(file.read_text(encoding="utf-8")), encoding="utf-8")
