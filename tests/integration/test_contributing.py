"""CONTRIBUTING.md, followed to the letter in a copy of the project, which is then run."""

import json
import re
import shutil
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest

from graft.config.load import parse_yaml
from graft.evaluation.predictions import read_predictions
from helpers.repository import ROOT, SMALL, commit, copy_project, dvc, edit, executed, run

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGE = r"^  (\w+)/ (.*?)(?=^  \w|\Z)"
SECTIONS = ["Add a dataset", "Add a backbone", "Add an augmentation", "Add a method"]
GRAPH = "tests/helpers/graph.py"  # `make graph`
STEP = re.compile(r"^\d+\. (.+?)\n\n( +)```(?:python|yaml|text)\n(.*?)\n +```$", re.MULTILINE | re.DOTALL)
WHERE = r"(?: (?:under|above|below|below every|in place of) `[^`]+`,)*"
PLACE = re.compile(rf"[Ii]n (a new file )?`([^`]+)`,({WHERE}) put ")


class Instruction(NamedTuple):
    """Code of the page and where it goes: in a new file, or beside or in place of lines of a file."""

    file: str
    is_new: bool
    place: list[tuple[str, str]]
    code: str


def instructions(title):
    """What a section of the page tells to put somewhere, in order."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    found = []
    for text, indent, code in STEP.findall(section):
        sentence = PLACE.search(" ".join(text.split()))
        assert sentence, f"a step with code must say where it goes: {text}"
        is_new, file, place = sentence.groups()
        code = re.sub(f"^{indent}", "", code, flags=re.MULTILINE) + "\n"
        found.append(Instruction(file, bool(is_new), re.findall(r"(\w[\w ]*) `([^`]+)`", place), code))
    assert len(found) == section.count("```") // 2, "a block of the section stands in no step"
    return found


def follow(repo, instruction):
    file = repo / instruction.file
    assert file.exists() != instruction.is_new, file
    text = "" if instruction.is_new else file.read_text(encoding="utf-8")
    file.write_text(_put(text.splitlines(keepends=True), instruction), encoding="utf-8")


def _put(lines, instruction):
    if instruction.is_new:
        return instruction.code
    first = 0
    for how, anchor in instruction.place:
        found = [i for i, line in enumerate(lines) if i >= first and _is(line, anchor, how)]
        assert found, f"{instruction.file} has no line {anchor!r} after line {first}"
        first = found[0]
    if how == "in place of":
        assert set(re.findall(r"\w+", lines[first])) < set(re.findall(r"\w+", instruction.code))
        lines[first] = instruction.code
    for i in found if how == "below every" else found[:1]:
        if how == "above":
            lines[i] = instruction.code + "\n" * (2 if instruction.file.endswith(".py") else 0) + lines[i]
        elif how != "in place of":
            lines[i] += instruction.code
    return "".join(lines)


def _is(line, anchor, how):
    without_comment = line.partition(" # ")[0].strip()
    return without_comment.startswith(anchor) if how == "in place of" else without_comment == anchor


@pytest.fixture
def repo(tmp_path):
    """A copy of the project with what `make graph` runs."""
    repo = tmp_path / "repo"
    copy_project(repo)
    (repo / GRAPH).parent.mkdir(parents=True)
    shutil.copy2(ROOT / GRAPH, repo / GRAPH)
    run(repo, "git", "init", "--quiet")
    return repo


def contribute(repo, titles, values):
    for title in titles:
        for instruction in instructions(title):
            follow(repo, instruction)
    run(repo, "python", GRAPH)
    run(repo, "ruff", "format", "--check", "src")
    run(repo, "ruff", "check", "src")
    edit(repo, values)
    commit(repo, "contributed")


def graft(repo, *arguments, fails=False):
    """Run `graft` with the copy's own code."""
    return run(repo, "env", "PYTHONPATH=src", "graft", *arguments, fails=fails)


def labels(repo):
    return pd.read_csv(repo / "data/manifest.csv")["label"].value_counts().to_dict()


STRIPES = {"across": 20, "upright": 20}


def test_a_dataset(repo):
    contribute(repo, ["Add a dataset"], {"dataset": "stripes"})
    assert executed(dvc(repo, "repro", "split")) == ["download", "prepare", "split"]
    assert labels(repo) == STRIPES


def test_the_graph_names_a_method_wherever_it_names_the_linear_one(repo):
    for instruction in instructions("Add a method"):
        follow(repo, instruction)
    text = (repo / "dvc.yaml").read_text(encoding="utf-8").replace("nearest-mean", "nearest_mean")
    named = {name for name in strings(parse_yaml(text)) if not re.search("deps: (src|stages)/", name)}
    of_linear = {name for name in named if re.search(r"linear\b", name) and "train_ensemble" not in name}
    expected = {name.replace("linear", "nearest_mean") for name in of_linear}  # which is a member there
    assert len(expected) > 20
    assert expected - named == set()


def strings(node, path=""):
    """The text in a graph, each with the keys that lead to it."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{path}/{key}"
            yield from strings(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from strings(value, path)
    elif isinstance(node, str) and " " not in node:
        yield f"{path}: {node}"


@pytest.mark.long
def test_all_four_together(repo):
    used = {"dataset": "stripes", "backbone": "vgg16_block2", "augmentation.shear": 0.1}
    used |= {"split.max_per_class": None}
    contribute(repo, SECTIONS, {})
    graft(repo, "params")
    edit(repo, SMALL | used)
    commit(repo, "used")
    moved = {"backbones.vgg16_block2.pooling": "avg", "two_stage.feature_augmentation.shear": 0.1}
    edit(repo, moved)
    refused = graft(repo, "params", fails=True)
    assert "two_stage.feature_augmentation.shear=0.1 moves parts of feature maps" in " ".join(refused.split())
    run(repo, "git", "restore", "params.yaml")
    assert {"extract_views", "train_nearest_mean", "evaluate@nearest_mean", "compare", "report"} <= {
        *executed(dvc(repo, "repro"))
    }
    graft(repo, "status")
    predictions, facts = read_predictions(repo / "predictions/nearest_mean.parquet")
    assert (facts["method"], facts["backbone"]) == ("nearest_mean", "vgg16_block2")
    assert set(predictions["y_true"]) == set(STRIPES)
    assert labels(repo) == STRIPES
    compared = json.loads((repo / "metrics/comparison.json").read_text())["methods"]
    assert compared[0]["method"] == "nearest_mean"
    assert "nearest mean" in (repo / "reports/index.html").read_text(encoding="utf-8")
    fingerprint = {name: _fingerprint(repo / "data" / name) for name in ("features", "views")}
    assert '"shear": 0.1' in fingerprint["views"]
    assert "shear" not in fingerprint["features"]


def _fingerprint(folder):
    return pq.read_schema(next(folder.glob("*.parquet"))).metadata[b"fingerprint"].decode()


def test_the_map_of_the_code_names_every_package_and_modules_that_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = readme.split("## Map of the code")[1].split("src/graft/")[1].split("\nexperiments/")[0]
    named = {name: re.findall(r"\w+\.py", text) for name, text in re.findall(PACKAGE, lines, re.M | re.S)}
    there = {file.parent.name for file in (ROOT / "src/graft").glob("*/[!_]*.*")}
    assert set(named) == there
    missing = [f"{p}/{m}" for p, modules in named.items() for m in modules if not _module(p, m).exists()]
    assert missing == []


def _module(package, name):
    return ROOT / "src/graft" / package / name
