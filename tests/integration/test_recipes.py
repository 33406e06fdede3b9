"""The recipes of `experiments/`, run end to end: tiny datasets of the same layout, one epoch, no weights."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest
import yaml

from graft.data.images import CHANNELS
from graft.methods.params import parse_params
from helpers.datasets import serve_datasets
from helpers.repository import ROOT, commit, copy_project, dvc, environment, executed, run
from helpers.tiers import long_but_for

SCRIPTS = {
    recipe: script.name
    for script in sorted((ROOT / "experiments").glob("[!_]*.sh"))
    for recipe in re.findall(r"^([a-z0-9-]+)\)$", script.read_text(encoding="utf-8"), re.MULTILINE)
}
VGG19, VGG16 = 20_024_384, 14_714_688
BLOCKS_4_AND_5 = 17_698_816  # of VGG19
TWO_STAGE_HEAD, INLINE_HEAD = 3_310_081, 3_318_273
# recipe: method, parameters to train, parameters in all, images of train, validation and test
EXPECTED = {
    "cats-two-stage": ("two_stage", TWO_STAGE_HEAD, VGG19 + TWO_STAGE_HEAD, (8, 4, 4)),
    "cats-inline": ("inline", INLINE_HEAD, 23_342_657, (8, 4, 4)),
    "cats-finetune": ("inline", BLOCKS_4_AND_5 + INLINE_HEAD, 23_342_657, (8, 4, 4)),
    "cats-vgg16-small": ("two_stage", 2_097_665, VGG16 + 2_097_665, (8, 4, 4)),
    "cats-scratch": ("scratch", None, None, (8, 4, 4)),
    "flowers-inline": ("inline", 3_318_533, VGG19 + 3_318_533, (14, 7, 7)),
    "flowers-two-stage": ("two_stage", 3_310_597, VGG19 + 3_310_597, (14, 7, 7)),
    "flowers-views": ("two_stage_views", 3_310_597, VGG19 + 3_310_597, (14, 7, 7)),
    "flowers-finetune": ("inline", BLOCKS_4_AND_5 + 3_318_533, VGG19 + 3_318_533, (14, 7, 7)),
    "daisy-dandelion-cnn": ("scratch", 1_662_945, 1_662_945, (12, 2, 2)),
    "fashion-mnist-cnn": ("scratch", 1_207_498, 1_207_498, (90, 10, 10)),
    "cifar10-dense": ("scratch", 411_146, 411_146, (90, 10, 10)),
    "cifar10-cnn": ("scratch", 1_634_058, 1_634_058, (90, 10, 10)),
}
N_CLASSES = {"cats_and_dogs": 2, "flowers": 5, "fashion_mnist": 10, "cifar10": 10}
SMALL_VGG19 = ["weights=random", "backbones.vgg19.image_size=64"]
SMALLER = {
    "two_stage": [*SMALL_VGG19, "two_stage.epochs=1", "seeds=[0]"],
    "two_stage_views": [*SMALL_VGG19, "features.views=2", "two_stage_views.epochs=1", "seeds=[0]"],
    "inline": [*SMALL_VGG19, "inline.epochs=1", "inline.fine_tune.epochs=1"],
    "scratch": ["scratch.epochs=1"],
}


RECIPES = sorted(EXPECTED, key=lambda name: (SCRIPTS.get(name, ""), name))
# One for each method and each dataset; the others differ from these in values, which are counted above.
OF_A_KIND = (
    "cats-two-stage",
    "flowers-views",
    "flowers-finetune",
    "fashion-mnist-cnn",
    "cifar10-cnn",
)
QUICK = ("cats-two-stage", "cifar10-cnn")  # whose parameters `make test` looks at


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A repository whose datasets are tiny, before its first run."""
    folder = tmp_path_factory.mktemp("recipes")
    repo = folder / "repo"
    copy_project(repo)
    shutil.rmtree(repo / "metrics")
    (repo / "dvc.lock").unlink()
    run(repo, "git", "init", "--quiet")
    with serve_datasets(repo, folder / "published"):
        commit(repo, "code")
        yield repo


def recipe(repo, name, *changes, queue=False, fails=False):
    options = [part for change in changes for part in ("-S", change)] + ["--queue"] * queue
    return run(repo, "sh", f"experiments/{SCRIPTS[name]}", name, *options, fails=fails)


def test_every_recipe_has_an_expectation():
    assert set(SCRIPTS) == set(EXPECTED)


@pytest.mark.parametrize("name", long_but_for(QUICK, RECIPES))
def test_the_parameters_of_a_recipe_are_valid_and_give_the_published_sizes(repo, name):
    """DVC writes them, and runs nothing."""
    recipe(repo, name, queue=True)
    params = params_at(repo, "refs/exps/celery/stash")
    assert run(repo, "git", "status", "--porcelain", "params.yaml") == ""
    method, trainable, total, _ = EXPECTED[name]
    if trainable:
        assert count_parameters(params, method) == (trainable, total)


def params_at(repo, revision):
    return parse_params(yaml.safe_load(run(repo, "git", "show", f"{revision}:params.yaml")))


def count_parameters(params, method):
    """How many parameters a method trains, and all of its model, without any value."""
    from graft.models.backbones import from_pixels, outline
    from graft.models.freezing import choose_layers
    from graft.models.heads import build_head
    from graft.models.networks import build_network

    block, n_classes = getattr(params, method), len(params.split.classes or ()) or N_CLASSES[params.dataset]
    if method == "scratch":
        channels = CHANNELS[block.color_mode]
        n = build_network(block.layers, block.image_size, n_classes, 0, channels).count_params()
        return n, n
    row = params.backbones[params.backbone]
    application = outline(row)
    head = build_head(from_pixels(application, row).output_shape[1:], n_classes, block.head, None, 0)
    tune = getattr(block, "fine_tune", None)
    tuned = choose_layers(application, tune.blocks, tune.layers) if tune else []
    n_tuned = sum(application.get_layer(layer).count_params() for layer in tuned)
    return n_tuned + head.count_params(), application.count_params() + head.count_params()


@pytest.mark.long
@pytest.mark.parametrize("name", OF_A_KIND)
def test_a_recipe(repo, name):
    method, _, _, seen = EXPECTED[name]
    stages = executed(recipe(repo, name, *SMALLER[method]))
    assert ("extract_views" in stages) == (method == "two_stage_views")  # who needs no views embeds none
    metrics = json.loads((repo / f"metrics/{method}.json").read_text())
    assert tuple(metrics["n_seen"].values()) == seen
    facts = metrics["facts"]
    params = params_at(repo, revision(repo, name))
    assert (facts["trainable_params"], facts["total_params"]) == count_parameters(params, method)
    assert run(repo, "git", "status", "--porcelain", "params.yaml") == ""


def revision(repo, name):
    """The commit of an experiment."""
    (found,) = re.findall(rf"(\w+) \[{name}\]", dvc(repo, "exp", "list"))
    return found


def test_the_table_names_every_recipe_and_its_command():
    page = (ROOT / "experiments/README.md").read_text(encoding="utf-8")
    for name, script in SCRIPTS.items():
        assert f"| `{name}` |" in page
        assert f"sh experiments/{script} {name}" in page


def test_a_recipe_that_does_not_exist(repo):
    output = run(repo, "sh", "experiments/cats.sh", "cats-on-mars", fails=True)
    assert "NAME is one of cats-two-stage cats-inline " in output


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recipe_puts_params_yaml_back(repo, number):
    command = ["sh", "experiments/cats.sh", "cats-scratch", "-S", "scratch.epochs=999"]
    env = {**environment(repo), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=repo, env=env, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        for line in process.stdout:
            if re.fullmatch(rb"\[\d+/\d+\] train_scratch\n", line):
                os.killpg(process.pid, number)
    assert process.returncode != 0
    assert run(repo, "git", "status", "--porcelain", "params.yaml") == ""


def test_a_changed_params_yaml_is_not_overwritten(repo):
    with (repo / "params.yaml").open("a") as file:
        file.write("# mine\n")
    output = recipe(repo, "cats-scratch", fails=True)
    assert "params.yaml differs from the last commit" in output
    assert (repo / "params.yaml").read_text().endswith("# mine\n")
    run(repo, "git", "restore", "params.yaml")
