"""Progress shows on stderr and changes nothing."""

import os
import pty
import re
import struct
import sys
from fcntl import ioctl
from subprocess import Popen
from termios import TIOCSWINSZ

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.utils import progress
from graft.utils.progress import Bar, track

LONG = """
from graft.utils.progress import Bar
with Bar("steps") as bar:
    bar.begin("seed 2/3, epoch 12/100", 98_700)
    for step in range(60):
        bar.advance(1500)
        bar.note("val. 87.0 %")
print("done")
"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(items=st.lists(st.text()), terminal=st.booleans())
def test_the_items_pass_through(items: list[str], terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert list(track(iter(items), "reading", total=len(items), count=len)) == items


def test_without_a_terminal_a_short_loop_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([[1, 2], [3]], "embed", total=3, unit="rows", count=len)) == [[1, 2], [3]]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "lines"),
    [
        (None, ["embed: 2 rows, ", "embed: 6 rows, "]),
        (1000, ["embed: 2 of 1,000 rows, ", "embed: 6 of 1,000 rows, "]),
    ],
)
def test_without_a_terminal_a_long_loop_says_now_and_then_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, total: int | None, lines: list[str]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    list(track([[1, 2], [3, 4, 5, 6]], "embed", total=total, unit="rows", count=len))
    captured = capsys.readouterr()
    assert captured.out == ""
    for line, start in zip(captured.err.splitlines(), lines, strict=True):
        assert line.startswith(start)


def test_on_a_terminal_it_is_a_bar_with_the_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    list(track(range(40), "prepare", total=40))
    captured = capsys.readouterr()
    assert "prepare" in captured.err
    assert "40/40" in captured.err
    assert "images/s" in captured.err
    assert captured.out == ""


def test_a_bar_goes_when_an_error_ends_the_loop(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    def interrupt() -> None:
        with Bar("images") as bar:
            bar.begin("prepare", 40)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    err = capsys.readouterr().err
    assert err.rfind(shown) > err.rfind(hidden) or hidden not in err


def test_the_longest_bar_fits_into_80_columns_and_leaves_nothing() -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"TERM": "xterm"}
    command = [sys.executable, "-c", LONG]
    with Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        output = _read_all(ours)
    assert process.returncode == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output))
    bars = [line for line in lines if "seed 2/3" in line]
    assert bars
    assert all(len(line) <= 80 for line in lines)
    assert all("steps" in line for line in bars)  # none is broken
    assert "val. 87.0 %" in bars[-1]
    assert output.rstrip().endswith("done")


def _read_all(terminal: int) -> str:
    output = b""
    try:
        while block := os.read(terminal, 4096):
            output += block
    except OSError:  # Linux says so that the other end is closed
        pass
    os.close(terminal)
    return output.decode()
