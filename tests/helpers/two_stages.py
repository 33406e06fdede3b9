"""A small DVC repository without TensorFlow: two stages and a .dvc file, built once a session."""

import shutil

import pytest

from helpers.repository import commit, dvc, executed, run

N, SIZE = 20, 20_000
DVC_YAML = """\
stages:
  make:
    cmd: python make.py
    deps: [make.py]
    params: [seed]
    outs: [many]
  count:
    cmd: python count.py
    deps: [count.py, many]
    outs: [count.txt]
    metrics:
      - metrics/count.json:
          cache: false
"""
MAKE = f"""\
import pathlib
seed = int(pathlib.Path("params.yaml").read_text().split(":")[1])
folder = pathlib.Path("many")
folder.mkdir()
for i in range({N}):
    (folder / str(i)).write_bytes(bytes([seed, i]) * {SIZE // 2})
"""
COUNT = """\
import json, pathlib
n, first = len(list(pathlib.Path("many").iterdir())), pathlib.Path("many/0").read_bytes()[0]
pathlib.Path("count.txt").write_text(f"{n} {first}")
pathlib.Path("metrics").mkdir(exist_ok=True)
pathlib.Path("metrics/count.json").write_text(json.dumps({"n": n, "first": first}))
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "make.py": MAKE,
    "count.py": COUNT,
    "params.yaml": "seed: 1\n",
    "source": "s",
}


def build_two_stages(repo, *init):
    """Make a repository of it, built and committed; no remote. `init`: options of `dvc init`."""
    repo.mkdir()
    if not init:
        run(repo, "git", "init", "--quiet")
    dvc(repo, "init", "--quiet", *init)
    for name, text in FILES.items():
        (repo / name).write_text(text)
    dvc(repo, "add", "--quiet", "source")
    assert len(executed(dvc(repo, "repro"))) == 2
    commit(repo, "work")


@pytest.fixture(scope="session")
def two_stages(tmp_path_factory):
    """The repository; not to be changed: `copy_of_two_stages` is."""
    repo = tmp_path_factory.mktemp("two_stages") / "repo"
    build_two_stages(repo)
    return repo


@pytest.fixture
def copy_of_two_stages(two_stages, tmp_path):
    return shutil.copytree(two_stages, tmp_path / "repo", symlinks=True)
