"""experiments/README.md, "Ideas of the publications": each command is one that graft takes as it stands."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest
import typer

from graft.cli.main import app
from graft.cli.overrides import apply, read_overrides
from graft.config.load import read_params
from graft.methods.params import parse_params
from helpers.repository import PARAMS, ROOT, STAGES

TEXT = (ROOT / "experiments/README.md").read_text(encoding="utf-8")
TABLE = TEXT.partition("## Ideas of the publications")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"`(graft [^`]+)`", TABLE)


def test_the_table_has_the_ideas() -> None:
    text = TABLE.lower()
    for idea in (
        *("fine-tuning", "other backbones", "vit", "distillation", "ensembles", "smote", "grad-cam", "lime"),
        *("shap", "schedules", "clipping", "mixed precision", "calibration", "wrong labels"),
    ):
        assert idea in text
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_legal(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    if name != "run":
        command = typer.main.get_command(app)
        words = [name, *arguments]
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        command.parse_args(click.Context(command), words)
        return
    overrides = [value for flag, value in pairwise(arguments) if flag == "-S"]
    targets = [word for word in arguments if "=" not in word and word != "-S"]
    assert set(targets) <= set(STAGES)
    for values in apply(read_overrides(overrides, PARAMS), read_params(ROOT / "params.yaml")):
        parse_params(values)


@pytest.mark.parametrize("page", re.findall(r"\]\((\.\./[^)#]+)", TABLE))
def test_a_page_is_there(page: str) -> None:
    assert Path(ROOT, "experiments", page).is_file()
