"""stages/_checkout: a traceback is for bugs of ours."""

import subprocess
import sys

import pytest

from helpers.repository import ROOT


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("load_params({}, 'nothing.yaml')", "error: cannot read nothing.yaml (No such file or directory)"),
        ("open('nothing')", "error: nothing is missing: `dvc checkout` brings"),
        ("raise OSError(28, 'No space left on device', 'x')", "error: no space left on the disk of x: free"),
        (
            "try: raise OSError(28, 'No space left on device')\nfinally: 1 / 0",
            "error: no space left on the disk of ",
        ),
        ("import pyarrow.parquet; pyarrow.parquet.read_table('nothing')", "error: nothing is missing: "),
        ("try: open('nothing')\nexcept OSError: 1 / 0", "Traceback"),
        ("raise KeyboardInterrupt", "interrupted: run it again"),
        ("raise ValueError('of Python')", "Traceback"),
        ("raise OSError('of a library')", "Traceback"),
        ("1 / 0", "Traceback"),
    ],
)
def test_an_error_of_the_user_or_the_system_ends_in_one_line(statement: str, message: str) -> None:
    script = f"import _checkout\nfrom graft.config.load import load_params\n{statement}"
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=ROOT / "stages", capture_output=True, encoding="utf-8", check=False)
    assert done.returncode != 0
    assert done.stderr.startswith(message)
    assert message == "Traceback" or done.stderr.count("\n") == 1
