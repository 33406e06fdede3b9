"""stages/_process: a stage ends with its DVC, and is alone in its folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import ROOT

PIPES = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
STAGE = "import sys; import _process; _process.end_with_dvc(); print(1, flush=True); input(); print(2)"
SHELLS = {"none": [], "of DVC": ["sh", "-c", '"$@"; exit 3', "sh"]}


def start(script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    variables = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    return subprocess.Popen(command, env=variables | environment, cwd=ROOT / "stages", text=True, **PIPES)


def run_by_dvc(shell: list[str]) -> subprocess.Popen[str]:
    """A process that runs a stage as DVC does."""
    script = "import os, subprocess, sys; subprocess.run(sys.argv[1:], env=os.environ | {'DVC_STAGE': 'x'})"
    return start(script, *shell, sys.executable, "-c", STAGE)


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_a_stage_ends_with_a_dvc_that_is_killed(shell: list[str]) -> None:
    with run_by_dvc(shell) as dvc:
        assert dvc.stdout.readline() == "1\n"
        dvc.kill()
        assert dvc.stdout.read() == ""  # which the stage holds open, too, as long as it is there


def test_it_is_left_alone_while_dvc_is_there() -> None:
    with run_by_dvc([]) as dvc:
        assert dvc.communicate("\n")[0] == "1\n2\n"


def test_what_a_person_runs_outlives_its_shell() -> None:
    with start("import subprocess, sys; subprocess.run(sys.argv[1:])", sys.executable, "-c", STAGE) as shell:
        assert shell.stdout.readline() == "1\n"
        shell.kill()
        shell.wait()
        assert shell.communicate("\n")[0] == "2\n"


def test_a_second_process_waits_for_the_first_or_says_so(tmp_path: Path) -> None:
    script = f"import os, sys, _process; os.chdir({str(tmp_path)!r}); _process.PATIENCE = float(sys.argv[1]);"
    script = f"{script} _process.hold_lock('train_inline'); print(1, flush=True); input()"
    with start(script, "0") as first:
        assert first.stdout.readline() == "1\n"
        with start(script, "0") as second:
            output, errors = second.communicate()
        assert (second.returncode, output) == (1, "")
        assert errors.startswith("error: another process runs train_inline in this folder: wait")
        assert errors.count("\n") == 1
        with start(script, "60") as third:
            first.kill()
            assert third.stdout.readline() == "1\n"
            third.communicate("\n")
