"""A repository as its users have it, and the commands they type."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from dvc.utils.serialize import dump_yaml, load_yaml
from PIL import Image

from graft.cli.preloading import SCRIPT, SOCKET, preloading
from graft.config.load import read_params
from graft.methods import registry
from helpers.forked import PARSED
from helpers.forked import STAGES as OF_STAGES

ROOT = Path(__file__).parents[2]
VIEWS = 3
PARAMS = read_params(ROOT / "params.yaml")
GRAPH = load_yaml(ROOT / "dvc.yaml")["stages"]
STAGES = [
    f"{name}@{item}" if item else name for name, stage in GRAPH.items() for item in stage.get("foreach", [""])
]
EXTRACTIONS = [stage for stage in STAGES if stage.startswith("extract_")]
METHODS = [*registry.METHODS]
OF_A_HEAD = ["train_two_stage", "train_ensemble", "evaluate@two_stage", "evaluate@ensemble"]
AFTER_A_HEAD = [*OF_A_HEAD, "compare", "tta", "explain", "report"]
SMALL = {
    "seeds": [0, 1],
    "split.max_per_class": 12,
    "backbone": "vgg16",
    "weights": "random",
    "backbones.vgg16.layer": "block2_pool",
    "backbones.vgg16.image_size": 32,
    "features.views": 1,
    "linear.C": 1.0,  # with the grid of null, half of the time of all training runs
    **{f"{method}.epochs": 1 for method in METHODS if "epochs" in PARAMS[method]},
    **{f"{method}.head.dense": [8] for method in METHODS if "head" in PARAMS[method]},
    **{f"{method}.image_size": 16 for method in ("scratch", "distilled")},
    **{
        f"{method}.layers": [{"Rescaling": {"scale": 0.004}}, {"Flatten": {}}]
        for method in ("scratch", "distilled")
    },
    "distilled.teacher": "linear",
    "distilled.views": 1,
}
N_IMAGES, N_TRAIN = 60, 30
FORKED = str(Path(__file__).with_name("forked.py"))
OF_COMMANDS = [
    *("dvc.cachemgr", "dvc.cli.parser", "dvc.data_cloud", "dvc.dependency.param", "dvc.repo.artifacts"),
    *("dvc.repo.experiments.ls", "dvc.repo.experiments.run", "dvc.repo.experiments.save", "dvc.repo.graph"),
    *("dvc.repo.experiments.show", "dvc.repo.index", "dvc.repo.plots", "dvc.repo.push", "dvc.repo.reproduce"),
    *("dvc.repo.stage", "dvc.repo.status", "dvc.repo.trie", "dvc.stage.cache", "dvc.utils.strictyaml"),
    *("dulwich.porcelain", "dvc_data.index.checkout", "dvc_render.vega", "networkx", "pandas", "pydantic"),
    *("pygit2", "pyarrow.parquet", "rich.progress", "rich.table", "ruamel.yaml", "scipy.stats", "typer"),
    *(name for name in ("s3fs", "sshfs") if find_spec(name)),
]


def environment(repo):
    """What a user has: an empty home or, where there is one beside the repository, the folder ``home``."""
    home = repo.parent / "home"
    return {
        **plain_environment(),
        **preloaded(),
        **({"HOME": str(home)} if home.is_dir() else {}),
        "DVC_SITE_CACHE_DIR": str(repo.parent / "dvc"),
        "DVC_GLOBAL_CONFIG_DIR": str(repo.parent / "dvc/config"),
    }


def plain_environment():
    person = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    private = ("GIT_", "DVC_", "XDG_", "PYTHON", "PYTEST")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(private)},
        **person,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DVC_NO_ANALYTICS": "1",
        "BROWSER": "echo",
    }


@cache
def preloaded():
    """The home of all users; `dvc`, `graft` and stages run in forks of one process with their libraries."""
    block = ExitStack()
    atexit.register(block.close)
    folder = block.enter_context(TemporaryDirectory())
    home, commands, parsed = (Path(folder, name) for name in ("home", "bin", "parsed"))
    for place in (home, commands, parsed):
        place.mkdir()
    for name in ("dvc", "graft"):
        file = commands / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FORKED}" {name} "$@"\n', encoding="utf-8")
        file.chmod(0o755)
    environment = plain_environment() | {"HOME": str(home)}
    of_stages = run_path(str(ROOT / SCRIPT))["LIBRARIES"]
    block.enter_context(preloading(ROOT, environment, [*of_stages, *OF_COMMANDS]))
    socket = environment.get(SOCKET, "")
    path = os.pathsep.join([str(commands), environment["PATH"]])
    return {"HOME": str(home), "PATH": path, SOCKET: socket, OF_STAGES: socket, PARSED: str(parsed)}


def run(repo, *command, fails=False):
    """Run a command as a user with an empty home does; what it printed."""
    done = subprocess.run(
        command,
        cwd=repo,
        env=environment(repo),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def dvc(repo, *arguments, fails=False):
    return run(repo, "dvc", *arguments, fails=fails)


def executed(output):
    """The stages that DVC, or else graft, says it runs."""
    announced = re.findall(r"^Running stage '(.+)':", output, re.MULTILINE)
    return announced or re.findall(r"^\[\d+/\d+\] (.+)", output, re.MULTILINE)


def edit(repo, values):
    """Set values of params.yaml, {dotted key: value}."""
    file = repo / "params.yaml"
    params = read_params(file)
    for key, value in values.items():
        *blocks, last = key.split(".")
        block = params
        for name in blocks:
            block = block[name]
        block[last] = value
    dump_yaml(file, params)


def hashes(repo):
    """sha256 of every output."""
    tops = ("data", "metrics", "models", "predictions", "reports/explain")
    files = (f for top in tops for f in (repo / top).rglob("*"))
    return {
        f.relative_to(repo).as_posix(): sha256(f.read_bytes()).hexdigest()
        for f in files
        if f.is_file() and "timing" not in f.parts
    }


def extraction(repo):
    """How many features the last extractions embedded, and took from the store and from HEAD."""
    files = (repo / f"metrics/timing/{stage}.json" for stage in EXTRACTIONS)
    counts = [json.loads(file.read_text())["values"] for file in files]
    return tuple(sum(each[name] for each in counts) for name in ("embedded", "from_store", "from_head"))


def feature_rows(repo):
    """The (key, view) that `SMALL` needs of the manifest's images."""
    manifest = pd.read_csv(repo / "data/manifest.csv")
    train = manifest.loc[manifest["split"] == "train", "key"]
    return {(key, 0) for key in manifest["key"]} | {(key, 1) for key in train}


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def make_folder(folder, classes=("red rose", "tulip"), n=4):
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            (folder / name / f"写真 é {i}.jpg").write_bytes(picture(100 * c + i))
    return folder


def copy_project(repo):
    """Copy what Git has of this checkout, or would take, to a folder: without the tests."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in set(subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (repo / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, repo / name)


def commit(repo, message):
    """Commit everything."""
    run(repo, "git", "add", "--all")
    run(repo, "git", "commit", "--quiet", "--message", message)


def build(repo):
    """A repository at the commit after its first `dvc repro`, small; what that printed."""
    copy_project(repo)
    edit(repo, SMALL)
    run(repo, "git", "init", "--quiet")
    commit(repo, "code")
    output = dvc(repo, "repro")
    commit(repo, "built")
    return output
