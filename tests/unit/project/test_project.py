"""A project is the mirror image of graft's repository, and an upgrade brings it there again."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.load import read_params
from graft.methods.params import parse_params
from graft.project import code, templates
from graft.project.check import check_stages
from graft.project.code import FILE, describe_code, read_code, write_code
from graft.project.new import Project
from graft.project.templates import project_params, read_graph, set_value
from graft.project.upgrade import apply, plan
from graft.utils.git import git
from helpers.repository import ROOT

GRAPH = read_graph()
MODULES = sorted(describe_code(GRAPH)["modules"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "flowers"
    (folder.parent / "photos").mkdir()
    Project(folder, folder.parent / "photos", "vgg16", "/srv/dvc").create()
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "flowers"))


def load(file: Path) -> Any:
    return YAML(typ="safe").load(file)


def test_the_graph_is_that_of_the_repository_with_digests_in_the_place_of_modules(made: Path) -> None:
    ours, theirs = load(ROOT / "dvc.yaml")["stages"], load(made / "dvc.yaml")["stages"]
    assert list(theirs) == list(ours)
    for name, stage in ours.items():
        expected, found = stage.get("do", stage), theirs[name].get("do", theirs[name])
        expected["deps"] = [dep for dep in expected["deps"] if not dep.startswith("src/")]
        expected["params"] = [*expected.get("params", []), {"graft.yaml": [f"code.{name}"]}]
        assert found == expected
    for script in ROOT.glob("stages/*.py"):
        assert (made / "stages" / script.name).read_bytes() == script.read_bytes()


def test_params_are_those_of_the_repository_with_one_backbone(made: Path) -> None:
    ours, theirs = read_params(ROOT / "params.yaml"), read_params(made / "params.yaml")
    parse_params(theirs)
    chosen = {"dataset": "folder", "source": str(made.parent / "photos"), "backbone": "vgg16"}
    assert theirs == ours | chosen | {
        "weights": "imagenet",
        "backbones": {"vgg16": ours["backbones"]["vgg16"]},
    }
    assert "# the layer whose output is the feature" in (made / "params.yaml").read_text(encoding="utf-8")


@given(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufeff"), min_size=1
    )
)
def test_whatever_a_source_is_called_it_is_read_as_written(source: str) -> None:
    text = set_value("seed: 0\nsource: photos   # folder\n", "source", source)
    assert YAML(typ="safe", pure=True).load(text) == {"seed": 0, "source": source}
    assert text.endswith("# folder\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["used", "--images", "."], "used: expected a new or an empty folder"),
        (["new", "--images", "nothing"], "--images 'nothing': expected a folder"),
        (["new", "--images", ".", "--backbone", "vgg"], "backbone must be one of "),
        (["new", "--images", ".", "--remote", "../store"], "expected a URL or an absolute path"),
        (["new", "--images", ".", "--remote", "ftp://x/y"], "Unsupported URL type"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").touch()
    done = CliRunner().invoke(app, ["new", *arguments])
    assert (done.exit_code, said in done.stderr) == (1, True)
    assert not (tmp_path / "new").exists()


def test_it_is_a_repository_of_git_and_dvc(made: Path) -> None:
    assert "/srv/dvc" in (made / ".dvc/config").read_text(encoding="utf-8")
    listed = git(made, "ls-files").split()
    assert {".dvc/config", "dvc.yaml", "params.yaml", "graft.yaml", "requirements.txt"} <= set(listed)
    left = git(made, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert all(line.startswith("A ") for line in left)  # without an author they wait for a commit


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = Path(
        shutil.copytree(code.PACKAGE, tmp_path / "package", ignore=shutil.ignore_patterns("bundled", "*.pyc"))
    )
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


@pytest.mark.parametrize("module", ["config/report.py", "data/datasets/flowers.py", "report/words.py"])
def test_a_module_changes_the_digests_of_the_stages_that_run_it(package: Path, module: str) -> None:
    before = describe_code(GRAPH)["code"]
    with (package / module).open("a", encoding="utf-8") as file:
        file.write("# another comment\n")
    after = describe_code(GRAPH)["code"]
    named = {
        name
        for name, stage in GRAPH["stages"].items()
        if any(f"src/graft/{module}".startswith(dep) for dep in stage.get("do", stage)["deps"])
    }
    assert named == {name for name in after if before[name] != after[name]} != set()


def test_an_upgrade_to_the_same_graft_changes_nothing(project: Path) -> None:
    found = plan(project)
    assert (found.written, found.stale, found.edited, found.added, found.removed) == ({}, {}, [], [], [])
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    apply(found, project)
    assert before == {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}


def test_an_upgrade_says_which_stages_are_stale_and_why(project: Path, package: Path) -> None:
    with (package / "report/words.py").open("a", encoding="utf-8") as file:
        file.write("# another comment\n")
    with pytest.raises(ValueError, match="other code for report: run `graft upgrade`"):
        check_stages(project, "report")
    check_stages(project, "evaluate@linear")
    found = plan(project)
    assert found.stale == {"report": ["report/words.py"]}
    apply(found, project)
    check_stages(project, "report")
    assert plan(project).stale == {}


def test_files_of_graft_are_replaced_and_those_of_a_person_are_not(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_other_templates(monkeypatch)
    with (project / "stages/compare.py").open("a", encoding="utf-8") as file:
        file.write("# mine\n")
    found = plan(project)
    assert (sorted(found.written), found.edited) == (
        ["stages/compare.py", "stages/split.py"],
        ["stages/compare.py"],
    )
    apply(found, project)
    assert (project / "stages/split.py").read_text(encoding="utf-8").endswith("# of graft\n")
    assert (project / "stages/compare.py").read_text(encoding="utf-8").endswith("# mine\n")
    assert (project / "stages/compare.py.new").read_text(encoding="utf-8").endswith("# of graft\n")
    assert plan(project).written == {}


def _with_other_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    real = templates.project_files

    def others(params: str) -> dict[str, str]:
        files = real(params)
        return files | {
            name: files[name] + "# of graft\n" for name in ("stages/compare.py", "stages/split.py")
        }

    monkeypatch.setattr("graft.project.upgrade.project_files", others)


def test_params_get_new_keys_with_their_comments_lose_unknown_ones_and_keep_values(project: Path) -> None:
    file = project / "params.yaml"
    text = file.read_text(encoding="utf-8").replace("  dropout: 0.8", "  dropout: 0.7")
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("  bit_depth:")]
    lines.insert(lines.index("split:\n"), "gone:\n  by: 1                       # a comment\n\n")
    file.write_text("".join(lines), encoding="utf-8")
    found = plan(project)
    assert (found.added, found.removed) == (["prepare.bit_depth"], ["gone"])
    apply(found, project)
    written = file.read_text(encoding="utf-8")
    assert "  bit_depth: 16               # 8 to 16: bits" in written
    params = read_params(file)
    assert (params["two_stage"]["head"]["dropout"], "gone" in params) == (0.7, False)
    assert params["prepare"]["bit_depth"] == 16
    assert plan(project).written == {}
    assert sorted(re.findall("#.*", written)) == sorted(re.findall("#.*", text))


@pytest.mark.parametrize("content", ["", "version: 1\n", "version: '1'\ncode: []\n", "{", "code: {a: b}"])
def test_a_version_file_that_is_none_is_said_to_be_so(project: Path, content: str) -> None:
    (project / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"graft.yaml is not as `graft upgrade` wrote it"):
        read_code(project)


def test_graft_itself_is_no_project() -> None:
    done = CliRunner().invoke(app, ["upgrade", "--root", str(ROOT)])
    assert done.exit_code == 1
    assert "expected a project that `graft new` made" in done.stderr
    check_stages(ROOT)


def test_a_version_file_is_read_as_written(tmp_path: Path) -> None:
    described = describe_code(GRAPH)
    write_code(described, tmp_path)
    assert read_code(tmp_path) == described


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "vgg19", "efficientnet_b0"])
def test_the_params_of_any_backbone_are_valid(backbone: str) -> None:
    weights = "bundled" if backbone == "mobilenet_v2" else "imagenet"
    values = YAML(typ="safe", pure=True).load(project_params("photos", backbone, weights))
    assert list(values["backbones"]) == [backbone]
    assert parse_params(values).backbones[backbone].image_size == 224 or backbone == "vgg19"


def test_a_project_with_a_backbone_of_keras_hub_requires_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Project(tmp_path / "made", tmp_path / "photos", "dinov2_small").create()
    assert (tmp_path / "made/requirements.txt").read_text(encoding="utf-8").startswith("graft[hub]==")
    for name in ("README.md", ".github/workflows/ci.yml"):
        assert "pip install 'graft[hub]'" in (tmp_path / "made" / name).read_text(encoding="utf-8")
    assert "# a preset of KerasHub" in (tmp_path / "made/params.yaml").read_text(encoding="utf-8")
    assert plan(tmp_path / "made").written == {}
