"""The parts of DVC without a promise that graft uses: another version may lack one, and it is named here."""

import ast
import inspect
import pkgutil
from importlib.metadata import version

import pytest
from dvc.repo import Repo

from helpers.repository import ROOT

SHARING = ROOT / "src/graft/sharing"
ADVICE = "change graft.sharing, or the bound of dvc in pyproject.toml"
OPENED = [  # what graft asks of objects that DVC makes
    "scm.root_dir",
    "root_dir",
    "dvc_dir",
    "tmp_dir",
    "fs.reflink",
    "config",
    "index.stages",
    "index.outs",
    "brancher",
    "status",
    "checkout",
    "cloud.get_remote",
    "cache.local_cache_dir",
]
STAGE = ["addressing", "path", "cmd", "deps", "outs", "frozen", "is_repo_import", "is_partial_import"]
DEP = ["fs_path", "hash_info", "is_in_repo", "exists"]
OUT = [*DEP, "use_cache", "can_push", "remote", "meta.size", "hash_info.isdir", "hash_info.value", "status"]
FS = ["protocol", "jobs", "version_aware", "unstrip_protocol", "join", "parent", "parts", "exists", "find"]
FS += ["info", "open", "cat_file", "makedirs", "put_file", "get_file"]
PARTS = {"repository": OPENED, "stage": STAGE, "dependency": DEP, "output": OUT}
PARTS |= {"remote": ["path", "worktree", "fs"], "file system": FS}


@pytest.fixture(scope="module")
def objects(two_stages):
    """One of each."""
    with Repo(str(two_stages), config={"remote": {"team": {"url": "/nowhere"}}}) as repo:
        stage = next(stage for stage in repo.index.stages if stage.addressing.endswith("count"))
        remote = repo.cloud.get_remote("team")
        yield {
            "repository": repo,
            "stage": stage,
            "dependency": stage.deps[0],
            "output": stage.outs[0],
            "remote": remote,
            "file system": remote.fs,
        }


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PARTS for name in PARTS[kind]])
def test_this_dvc_has(objects, kind, name):
    value = objects[kind]
    for part in name.split("."):
        assert hasattr(value, part), f"dvc {version('dvc')}: a {kind} has no {name}; {ADVICE}"
        value = getattr(value, part)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dvc.repo.Repo", ["root_dir", "config"]),
        ("dvc.repo.Repo.checkout", ["targets", "force", "allow_missing"]),
        ("dvc.repo.brancher.brancher", ["revs", "workspace"]),
        ("dvc.repo.Repo.switch", ["rev"]),  # of graft.features.revisions
        ("dvc.repo.lock_repo", ["repo"]),
        ("dvc.config.Config.load_one", ["level"]),
        ("dvc.config.Config.edit", ["level"]),
        ("dvc.config_schema.RelPath", []),
        ("dvc.output.Output", []),
        ("dvc.stage.PipelineStage", []),
        ("dvc.fs.LocalFileSystem", []),
        ("dvc.utils.dict_sha256", ["d"]),
    ],
)
def test_this_dvc_takes(name, parameters):
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        pytest.fail(f"dvc {version('dvc')} has no {name}; {ADVICE}")
    lacking = set(parameters) - set(inspect.signature(found).parameters if parameters else ())
    assert not lacking, f"dvc {version('dvc')}: {name} takes no {lacking}; {ADVICE}"


def imported(file):
    tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.module.split(".")[0] for node in tree if isinstance(node, ast.ImportFrom) and node.module}


def test_nothing_below_dvc_is_imported():
    below = {"dvc_data", "dvc_objects", "scmrepo", "dvc_s3", "dvc_ssh", "fsspec"}
    files = [*SHARING.glob("*.py"), *(ROOT / "src/graft/cli").glob("*.py")]
    assert files
    assert not set().union(*map(imported, files)) & below
