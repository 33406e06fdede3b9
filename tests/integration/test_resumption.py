"""A training run that is killed, in a real repository: it goes on, and leaves what it would have left."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import edit, environment, hashes, run

pytestmark = pytest.mark.long
COMMAND = sys.executable, "stages/train.py", "scratch"


def test_a_killed_training_run_goes_on_to_the_same_bytes(copy_of_built: Path) -> None:
    edit(copy_of_built, {"scratch.epochs": 40})
    with subprocess.Popen(COMMAND, cwd=copy_of_built, env=environment(copy_of_built)) as process:
        while process.poll() is None and not [*(copy_of_built / ".graft/checkpoints").rglob("*.npz")]:
            pass
        process.kill()
    assert "goes on after epoch" in run(copy_of_built, *COMMAND)
    resumed = hashes(copy_of_built)
    assert "goes on after epoch" not in run(copy_of_built, *COMMAND)
    assert hashes(copy_of_built) == resumed
    assert not (copy_of_built / ".graft/checkpoints/scratch").exists()
    assert not [*copy_of_built.rglob("*.partial*")]
