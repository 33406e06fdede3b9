"""dvc.yaml against the code: what a stage imports, reads and writes is what it declares."""

from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from graft.config.load import read_params
from graft.export.registry import FORMATS
from graft.methods.registry import METHODS
from helpers.graph import ROOT, closure, imports, loaded_params, name_of, reachable, script, with_closures

GRAPH = load_yaml(ROOT / "dvc.yaml")
PARAMS = read_params(ROOT / "params.yaml")
CHEAP = {"evaluate", "compare"}

# A stage's body: those of a `foreach` stand one level deeper.
STAGES = {name: stage.get("do", stage) for name, stage in GRAPH["stages"].items()}


def paths(entries):
    """The paths of deps, outs, metrics or plots, which are names or {name: options}."""
    return {name: options for entry in entries for name, options in _item(entry)}


def _item(entry):
    return entry.items() if isinstance(entry, dict) else [(entry, {})]


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_the_import_closure(stage):
    declared = {dep for dep in paths(STAGES[stage]["deps"]) if dep.startswith(("src/", "stages/"))}
    assert declared == closure(STAGES[stage])


@pytest.mark.parametrize("stage", ["train_two_stage", "train_two_stage_views"])
def test_a_training_on_cached_features_builds_no_backbone(stage):
    """So it needs no weights file, and no download, whose features the team has already."""
    assert "src/graft/models/backbones.py" not in closure(STAGES[stage])
    assert "models/backbone.keras" in paths(STAGES[stage]["deps"])


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_are_declared_as_they_are_loaded(stage):
    loaded = loaded_params(STAGES[stage])
    declared = set(STAGES[stage].get("params", []))
    assert declared == loaded


@pytest.mark.parametrize("stage", STAGES)
def test_command_is_the_script(stage):
    method = stage.removeprefix("train_")
    item = " ${item}" if "do" in GRAPH["stages"][stage] else ""
    command = f"train.py {method}" if method in METHODS else f"{stage}.py{item}"
    assert STAGES[stage]["cmd"] == f"python stages/{command}"
    assert len(script(STAGES[stage]).read_text().splitlines()) <= 45


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_persists_or_always_changes(stage):
    assert not {"always_changed", "frozen"} & set(STAGES[stage])
    for kind in ("outs", "metrics", "plots"):
        for name, options in paths(STAGES[stage].get(kind, [])).items():
            assert not options.get("persist"), name
            assert options.get("cache", True) or stage in CHEAP, name


def expanded(stage, entries):
    """Paths of a stage's entries, once for each item of a `foreach`."""
    items, teacher = GRAPH["stages"][stage].get("foreach", [""]), PARAMS["distilled"]["teacher"]
    named = [name.replace("${distilled.teacher}", teacher) for name in paths(entries)]
    return {name.replace("${item}", item) for name in named for item in items}


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
    templated, of_commands = {"source", "backbone", "backbones"}, {"tune"}
    used = {name.split(".")[0] for name in declared} | templated | of_commands
    assert used == set(PARAMS)
    for block in {name.split(".")[0] for name in declared if "." in name} - templated:
        if block not in declared:
            assert {f"{block}.{key}" for key in PARAMS[block]} <= declared


def test_every_module_belongs_to_a_stage_or_the_command_line():
    from_stages = set().union(*map(closure, STAGES.values()))
    from_cli = reachable(ROOT / "src/graft/cli/main.py")
    from_cli |= {f"src/graft/export/{each.module}.py" for each in FORMATS.values()}
    modules = {name_of(f) for f in (ROOT / "src").rglob("*.py") if f.parent.name != "datasets"}
    assert modules <= from_stages | from_cli


def test_the_graph_is_as_make_graph_writes_it():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert with_closures(text) == text


PACKAGES = [
    "config",
    "data",
    "models",
    "features",
    "training",
    "methods",
    "evaluation",
    "export",
    "explain",
    "curation",
    "report",
    "sharing",
    "project",
    "cards",
    "serving",
    "tuning",
    "cli",
]


@pytest.mark.parametrize("file", sorted((ROOT / "src/graft").glob("*/**/*.py")), ids=name_of)
def test_imports_point_upwards_only(file):
    """From a package to those before it in the layout; `utils` imports nothing of graft but itself."""
    package = file.relative_to(ROOT / "src/graft").parts[0]
    others = {Path(name).parts[2] for name in map(name_of, imports(file)) if len(Path(name).parts) > 3}
    allowed = {"utils"} if package == "utils" else {*PACKAGES[: PACKAGES.index(package) + 1], "utils"}
    assert others <= allowed


STALED_BY = {
    "config/report.py": {"explain"},
    "config/training.py": {f"train_{method}" for method in METHODS},
    "methods/inline.py": {"train_inline"},
    "report/words.py": {"report"},
    "utils/timing.py": {"report"},
}


@pytest.mark.parametrize("module", STALED_BY)
def test_a_comment_stales_no_more_than_it_must(module):
    assert {s for s in STAGES if f"src/graft/{module}" in closure(STAGES[s])} == STALED_BY[module]
