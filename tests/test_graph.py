"""dvc.yaml against the code: what a stage imports, reads and writes is what it declares."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
CHEAP = {"evaluate", "compare"}

# A stage's body: those of a `foreach` stand one level deeper.
STAGES = {name: stage.get("do", stage) for name, stage in GRAPH["stages"].items()}


def paths(entries):
    """The paths of deps, outs, metrics or plots, which are names or {name: options}."""
    return {name: options for entry in entries for name, options in _item(entry)}


def _item(entry):
    return entry.items() if isinstance(entry, dict) else [(entry, {})]


def script(stage):
    return ROOT / STAGES[stage]["cmd"].split()[1]


@cache
def imports(file):
    """Project files that a file imports directly."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            found |= resolve(name, file)
    return frozenset(found)


def resolve(name, file):
    """The files that importing a dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if parts[0] != "graft":
        sibling = file.parent / f"{parts[0]}.py"
        return (
            {sibling} if len(parts) == 1 and sibling.exists() and sibling.parent.name == "stages" else set()
        )
    base, found = ROOT / "src", set()
    for depth in range(1, len(parts) + 1):
        place = base.joinpath(*parts[:depth])
        found |= {f for f in (place / "__init__.py", place.with_suffix(".py")) if f.exists()}
    return found


def reachable(file):
    """The project files whose code a file runs, itself among them."""
    todo, seen = [file], set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += imports(file)
    return {file.relative_to(ROOT).as_posix() for file in seen}


def closure(stage):
    """The files whose code a stage runs, as dvc.yaml names them."""
    names = reachable(script(stage))
    # The page's template and style lie beside the module that renders them.
    if "src/graft/report/page.py" in names:
        names |= {f.relative_to(ROOT).as_posix() for f in (ROOT / "src/graft/report").glob("page.[!p]*")}
    # Data sets are imported by name, so the whole folder counts.
    datasets = {name for name in names if name.startswith("src/graft/datasets/")}
    if datasets:
        for file in (ROOT / "src/graft/datasets").glob("*.py"):
            for other in imports(file):
                names.add(other.relative_to(ROOT).as_posix())
        names = {name for name in names if not name.startswith("src/graft/datasets/")} | {
            "src/graft/datasets"
        }
    return names


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_the_import_closure(stage):
    declared = {dep for dep in paths(STAGES[stage]["deps"]) if dep.startswith(("src/", "stages/"))}
    assert declared == closure(stage)


@pytest.mark.parametrize("stage", ["train_two_stage", "train_two_stage_views"])
def test_a_training_on_cached_features_builds_no_backbone(stage):
    """So it needs no weights file, and no download, whose features the team has already."""
    assert "src/graft/backbones.py" not in closure(stage)
    assert "models/backbone.keras" in paths(STAGES[stage]["deps"])


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_are_declared_as_they_are_loaded(stage):
    loaded = {
        argument.value
        for node in ast.walk(ast.parse(script(stage).read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_params"
        for argument in node.args
    }
    declared = set(STAGES[stage].get("params", []))
    if "row" in loaded:
        loaded = loaded - {"row"} | {"backbone", "backbones.${backbone}"}
    assert declared == loaded


@pytest.mark.parametrize("stage", STAGES)
def test_command_is_the_script(stage):
    item = " ${item}" if "do" in GRAPH["stages"][stage] else ""
    assert STAGES[stage]["cmd"] == f"python stages/{stage}.py{item}"
    assert len(script(stage).read_text().splitlines()) <= 30


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_persists_or_always_changes(stage):
    assert not {"always_changed", "frozen"} & set(STAGES[stage])
    for kind in ("outs", "metrics", "plots"):
        for name, options in paths(STAGES[stage].get(kind, [])).items():
            assert not options.get("persist"), name
            assert options.get("cache", True) or stage in CHEAP, name


def expanded(stage, entries):
    """Paths of a stage's entries, once for each item of a `foreach`."""
    items = GRAPH["stages"][stage].get("foreach", [""])
    return {name.replace("${item}", item) for name in paths(entries) for item in items}


def test_dependencies_are_exact_outputs():
    outs = {
        n
        for s in STAGES
        for kind in ("outs", "metrics", "plots")
        for n in expanded(s, STAGES[s].get(kind, []))
    }
    outputs_live_in = {out.split("/")[0] for out in outs}
    for stage in STAGES:
        for dep in expanded(stage, STAGES[stage]["deps"]):
            if dep.split("/")[0] in outputs_live_in:
                assert dep in outs, f"{stage}: {dep} is no output, or lies inside a directory output"


def test_every_parameter_is_used_by_some_stage():
    declared = {name for stage in STAGES.values() for name in stage.get("params", [])}
    templated = {"source", "backbone", "backbones"}
    used = {name.split(".")[0] for name in declared} | templated
    assert used == set(PARAMS)
    for block in {name.split(".")[0] for name in declared if "." in name} - templated:
        if block not in declared:
            assert {f"{block}.{key}" for key in PARAMS[block]} <= declared


def test_every_module_belongs_to_a_stage_or_the_command_line():
    from_stages = set().union(*map(closure, STAGES))
    from_cli = reachable(ROOT / "src/graft/cli.py")
    modules = {
        f.relative_to(ROOT).as_posix() for f in (ROOT / "src").rglob("*.py") if f.parent.name != "datasets"
    }
    assert modules <= from_stages | from_cli
