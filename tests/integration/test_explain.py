"""docs/explain.md: each command, in a small repository."""

import shlex

import pytest
from typer.testing import CliRunner

from graft.cli.main import app
from graft.config.load import load_params
from graft.report.page import CONTENTS, PARAMS, write_page
from helpers.repository import ROOT, picture

PAGE = (ROOT / "docs/explain.md").read_text(encoding="utf-8")
COMMANDS = "".join(part.partition("```")[0] for part in PAGE.split("```console\n")[1:]).splitlines()

# A layer of the page's backbone, and one of the test's, whose best method may have no convolution.
READ = {"block_13_expand_relu": "block1_conv2", " photo.jpg": " photo.jpg --method two_stage"}


@pytest.mark.long
def test_the_page(copy_of_built, monkeypatch):
    pytest.importorskip("lime")
    pytest.importorskip("shap")
    monkeypatch.chdir(copy_of_built)
    (copy_of_built / "photo.jpg").write_bytes(picture(1))
    for command in COMMANDS:
        for written, read in READ.items():
            command = command.replace(written, read)
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, (command, done.output)
    assert {file.stem for file in copy_of_built.glob("photo-*.png")} == {
        f"photo-{how}" for how in ("gradcam", "occlusion", "lime", "shap")
    }
    page = write_page(copy_of_built, load_params(PARAMS, copy_of_built / "params.yaml"))
    assert CONTENTS["map"] in page.read_text(encoding="utf-8")
