"""Every command and every Python block of the documents is run, or has a reason why not."""

import re
import shutil
import subprocess
import sys

import pytest

from repository import ROOT, SMALL, dvc, edit, run

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [ROOT / "experiments/README.md"]
BY_CI = "the CI runs it"
BY_RECIPES = "tests/test_recipes.py runs it, on small data"
BY_PIPELINE = "tests/test_pipeline.py runs it, on a repository with experiments"
NETWORK = "downloads weights or photos"
HALF_AN_HOUR = "takes up to half an hour; tests/test_benchmarks.py runs it small"
NOT_RUN = {
    "git clone <this repository> graft": "the address is the reader's",
    "cd graft": "the tests start there",
    "make repro": BY_CI,
    "make test": BY_CI,
    "make setup": BY_CI,
    "make check": BY_CI,
    "graft status": BY_PIPELINE,
    ".venv/bin/pre-commit install": BY_CI,
    "dvc exp run -S dataset=folder": NETWORK,
    "dvc exp run -S dataset=flowers": NETWORK,
    "dvc exp run -S dataset=cats_and_dogs": NETWORK,
    "sh experiments/": BY_RECIPES,
    "dvc exp run -n wide": BY_PIPELINE,
    "dvc exp show": BY_PIPELINE,
    "dvc metrics diff": BY_PIPELINE,
    "dvc plots show": BY_PIPELINE,
    "make bench": HALF_AN_HOUR,
    "python benchmarks/run.py": HALF_AN_HOUR,
}


def blocks(language):
    """The fenced blocks of a language in all pages, in order."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [block for page in PAGES for block in fence.findall(page.read_text(encoding="utf-8"))]


def commands():
    """The commands of the console blocks, without comments; a backslash joins lines."""
    lines = "".join(blocks("console")).replace("\\\n", " ").splitlines()
    stripped = (re.sub(r"\s+#.*", "", " ".join(line.split())) for line in lines)
    return list(dict.fromkeys(line for line in stripped if line))


def commands_to_run():
    return [command for command in commands() if not command.startswith(tuple(NOT_RUN))]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A repository at the commit after its first extraction."""
    repo = tmp_path_factory.mktemp("docs") / "repo"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in set(subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (repo / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, repo / name)
    edit(repo, {**SMALL, "backbones.vgg16.layer": "block5_pool"})
    run(repo, "git", "init", "--quiet")
    dvc(repo, "repro", "extract_features")
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", "extracted")
    return repo


@pytest.mark.parametrize("command", commands_to_run())
def test_a_command_of_the_documents(repo, command):
    run(repo, "git", "restore", "params.yaml")  # as the pages say, each time
    run(repo, "sh", "-c", command)


def test_the_cache_commands_are_among_them():
    for command in ("info", "verify", "gc"):
        assert any(each.startswith(f"graft features {command}") for each in commands_to_run())


@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_block_of_the_documents(repo, code):
    run(repo, sys.executable, "-c", code)


def test_the_snippet_reads_what_the_library_reads(repo):
    from graft.features.shards import read_features

    (code,) = (block for block in blocks("python") if "data/features/0.parquet" in block)
    check = "print(features.shape, features.dtype, float(features.astype('f8').sum()), frame['view'].sum())"
    rows, features = read_features(repo / "data/features/0.parquet")
    total = float(features.astype("f8").sum())
    said = run(repo, sys.executable, "-c", f"{code}\n{check}").split()
    assert " ".join(said[:-2]) == f"{features.shape} float16"
    assert float(said[-2]) == pytest.approx(total)
    assert int(said[-1]) == sum(view for _, view in rows)


def test_no_reason_outlives_its_command():
    unused = [start for start in NOT_RUN if not any(command.startswith(start) for command in commands())]
    assert unused == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
