"""Progress shows on stderr and changes nothing."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.utils.progress import track


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(items=st.lists(st.text()), terminal=st.booleans())
def test_the_items_pass_through(items: list[str], terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert list(track(iter(items), "reading", total=len(items), count=len)) == items


@pytest.mark.parametrize(
    ("total", "line"),
    [(None, "embed: 6 rows, "), (6, "embed: 6 rows, "), (1000, "embed: 6 of 1,000 rows, ")],
)
def test_without_a_terminal_it_is_one_line_at_the_end(
    capsys: pytest.CaptureFixture[str], total: int | None, line: str
) -> None:
    for _ in track([[1, 2], [3, 4, 5, 6]], "embed", total=total, unit="rows", count=len):
        assert capsys.readouterr().err == ""
    captured = capsys.readouterr()
    assert re.fullmatch(re.escape(line) + r"[\d,]+ rows/s\n", captured.err)
    assert captured.out == ""


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
