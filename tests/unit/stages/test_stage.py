"""stages/_stage: a line when a stage starts, and one when it is done."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import GRAPH, ROOT, STAGES

SCRIPT = "from _stage import done\n\ndone('3 images')\n"
SMALL = """\
stages:
  first:
    cmd: python stages/work.py
  each:
    foreach: [a, b]
    do:
      cmd: python stages/work.py ${item}
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A script in a repository of three stages."""
    (tmp_path / "stages").mkdir()
    for name in ("_checkout.py", "_preloaded.py", "_process.py", "_stage.py"):
        shutil.copy(ROOT / "stages" / name, tmp_path / "stages")
    (tmp_path / "dvc.yaml").write_text(SMALL)
    script = tmp_path / "stages/work.py"
    script.write_text(SCRIPT)
    return script


@pytest.mark.parametrize(
    ("arguments", "announced"),
    [([], "[1/3] first\n"), (["a"], "[2/3] each@a\n"), (["b"], "[3/3] each@b\n"), (["other"], "")],
)
def test_it_prints_its_place_then_what_it_did_and_the_seconds(
    work: Path, arguments: list[str], announced: str
) -> None:
    command = [sys.executable, str(work), *arguments]
    output = subprocess.check_output(command, cwd=work.parents[1], text=True)
    assert re.fullmatch(re.escape(announced) + r"  3 images; \d+\.\d s\n", output)


def test_every_script_says_first_that_it_starts_and_then_what_it_did() -> None:
    scripts = {ROOT / stage.get("do", stage)["cmd"].split()[1] for stage in GRAPH.values()}
    assert len(STAGES) > len(scripts) > 5
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        assert text.index("from _stage import done") < text.index("from graft"), script
        assert text.count("    done(") == 1, script


def test_tensorflow_says_nothing_while_it_is_imported() -> None:
    code = "import graft, tensorflow; print(tensorflow.reduce_sum([1, 2]).numpy())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("3\n", "")
