"""The commands of every page are run, in order, in a temporary clone; its Python blocks too."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from helpers.datasets import serve_datasets, write_kaggle
from helpers.repository import ROOT, commit, dvc, environment, make_folder, run

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "experiments/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
OWN_TEST = {
    "team.md": "tests/integration/test_team.py",
    "experiments.md": "tests/integration/test_experiments.py",
    "monitor.md": "tests/integration/test_monitor.py",
    "serve.md": "tests/integration/test_serve.py",
    "gpu.md": "tests/integration/test_backends.py",
    "project.md": "tests/integration/test_wheel.py",
    "explain.md": "tests/integration/test_explain.py",
}
# What a command that is left out begins with, and who runs it.
NOT_RUN = {
    "npm pack": "tests/integration/test_deploy.py, from what `make browser` got",
    "tar -xzf onnxruntime": "tests/integration/test_deploy.py",
    "python -m http.server": "tests/integration/test_deploy.py",
    "graft share": "tests/integration/test_team.py",
    "graft run -n wide": "tests/integration/test_experiments.py",
    "graft experiments": "tests/integration/test_experiments.py",
    "make check": ".ci/run",
    "make remotes": ".ci/run",
    "make runtimes": ".ci/run",
    "make dask": ".ci/run",
    "make models": ".ci/run",
    "make browser": ".ci/run",
    "make test": ".ci/run",
    "make docs": ".ci/run",
    "make graph": "tests/integration/test_contributing.py",
    "make bench": "tests/integration/test_benchmarks.py, small, for it takes half an hour",
    "python benchmarks/run.py": "tests/integration/test_benchmarks.py, small",
    "sh experiments/cats.sh cats-two-stage": "tests/integration/test_recipes.py",
    "sh experiments/small_images.sh fashion-mnist-cnn": "tests/integration/test_recipes.py",
}
# What is read as something that is here, or takes less time.
SUBSTITUTES = {
    "<this repository>": "$GRAFT_ORIGIN",
    "cd graft": 'cd graft && cp -R "$GRAFT_PREPARED/." .',
    "make repro": 'make PATH="$PATH" repro',  # whose `graft` is in a fork
    "/path/to/my/photos": '"$GRAFT_PHOTOS"',
    "/path/to/cats_and_dogs": '"$GRAFT_PHOTOS"',
    "/path/to/flowers": '"$GRAFT_PHOTOS"',
    "graft tune two_stage  ": "graft tune two_stage --trials 2  ",
    "--trials 100": "--trials 2",  # of heads that train for an epoch
    "features gc  ": "features gc --yes  ",
    "--precision int8": "--precision int8 --force",  # of a backbone with random weights
    "weights=imagenet": "weights=random",
    "vgg16=imagenet": "vgg16=random",
    "backbone=vgg19": "backbone=vgg19 -S backbones.vgg19.image_size=32 -S backbones.vgg19.layer=block1_pool",
    "image_size=224": "image_size=32",
    "blocks=[block_16]": "blocks=[block2]",
    "backbone=deit_tiny": "backbone=deit_tiny -S backbones.deit_tiny.image_size=48",
    "=mobilenet_v3_small": "=mobilenet_v3_small -S backbones.mobilenet_v3_small.image_size=32",
    " -S dataset=cats_and_dogs": " -S dataset=cats_and_dogs -S source=$GRAFT_KAGGLE",
    " -S dataset=folder": " -S dataset=folder -S features.views=1 -S 'seeds=[0]' -S two_stage_views.epochs=1"
    " -S inline.epochs=1 -S inline.fine_tune.epochs=1",
    "dvc exp run -S dataset=": "dvc exp run evaluate@two_stage -S dataset=",
    "graft run -S dataset=": "graft run evaluate@two_stage -S dataset=",
}


def blocks(language, page):
    """The fenced blocks of a language, in order."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return fence.findall(page.read_text(encoding="utf-8"))


def commands(page):
    return "".join(blocks("console", page)).replace("\\\n", " ").splitlines()


def commands_to_run(page):
    return [line for line in commands(page) if not line.startswith(tuple(NOT_RUN))]


def script(page):
    """The page's commands as a script of the shell, which begins with the clone."""
    chosen = commands_to_run(page)
    if not any(line.startswith("git clone") for line in chosen):
        chosen = ["git clone <this repository> graft", "cd graft", "dvc checkout --quiet", *chosen]
    text = "\n".join(chosen)
    for written, read in SUBSTITUTES.items():
        text = text.replace(written, read)
    return text


@pytest.fixture(scope="module")
def origin(copy_of_built, tmp_path_factory):
    """What the pages clone: a built repository, whose datasets are tiny."""
    with serve_datasets(copy_of_built, tmp_path_factory.mktemp("published") / "files"):
        dvc(copy_of_built, "repro", "--quiet")
        commit(copy_of_built, "tiny datasets")
        yield copy_of_built


@pytest.fixture
def reader(origin, tmp_path, monkeypatch):
    """A folder to clone into, of someone whose DVC cache is that of the origin."""
    prepared, folder = tmp_path / "prepared", tmp_path / "folder"
    folder.mkdir()
    (prepared / ".venv").mkdir(parents=True)
    for entry in Path(sys.prefix).iterdir():  # so that `make` finds its environment set up
        if entry.name != ".installed":
            (prepared / ".venv" / entry.name).symlink_to(entry)
    (prepared / ".venv/.installed").write_text(f"{folder / 'graft'}\n")
    shutil.copytree(origin / ".graft", prepared / ".graft")
    config = Path(environment(folder)["DVC_GLOBAL_CONFIG_DIR"]) / "config"
    config.parent.mkdir(parents=True)
    config.write_text(f"[cache]\ndir = {origin / '.dvc/cache'}\n")
    (tmp_path / "kaggle").mkdir()
    write_kaggle(tmp_path / "kaggle")
    monkeypatch.setenv("GRAFT_KAGGLE", str(tmp_path / "kaggle"))
    monkeypatch.setenv("GRAFT_ORIGIN", str(origin))
    monkeypatch.setenv("GRAFT_PREPARED", str(prepared))
    monkeypatch.setenv("GRAFT_PHOTOS", str(make_folder(tmp_path / "my photos")))
    return folder


@pytest.mark.long
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in OWN_TEST and commands_to_run(page)],
    ids=lambda page: "-".join(page.relative_to(ROOT).parts),
)
def test_the_commands_of_a_page(page, reader):
    run(reader, "sh", "-exc", script(page))


@pytest.mark.long
@pytest.mark.parametrize(
    "code", [code for page in PAGES if page.name not in OWN_TEST for code in blocks("python", page)]
)
def test_a_python_block(code, copy_of_built):
    run(copy_of_built, sys.executable, "-c", code)


@pytest.mark.long
def test_the_snippet_reads_what_the_library_reads(built):
    from graft.features.format import read_features

    (code,) = (code for page in PAGES for code in blocks("python", page) if "data/features/0.parquet" in code)
    check = "print(features.shape, features.dtype, float(features.astype('f8').sum()), frame['view'].sum())"
    rows, features = read_features(built.repo / "data/features/0.parquet")
    total = float(features.astype("f8").sum())
    said = run(built.repo, sys.executable, "-c", f"{code}\n{check}").split()
    assert " ".join(said[:-2]) == f"{features.shape} float16"
    assert float(said[-2]) == pytest.approx(total)
    assert int(said[-1]) == sum(view for _, view in rows)


def test_nothing_is_left_out_or_substituted_that_no_page_has():
    lines = [line for page in PAGES for line in commands(page)]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
    assert [written for written in SUBSTITUTES if not any(written in line for line in lines)] == []
    names = {page.name for page in PAGES}
    assert set(OWN_TEST) <= names
    assert [test for test in OWN_TEST.values() if not (ROOT / test).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
