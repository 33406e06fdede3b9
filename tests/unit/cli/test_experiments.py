"""The table of experiments: 80 columns, whatever they are called and whatever differs."""

from hypothesis import given
from hypothesis import strategies as st

from graft.cli.experiments import FIELDS, LONGEST, list_lines
from graft.methods.registry import METHODS
from graft.report.experiments import Experiment

RESULT = dict.fromkeys(FIELDS, 0.5) | {"low": 0.05, "high": 1.0}
TEXT = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=300)


@given(
    TEXT,
    st.sampled_from(["", "queued", "failed"]),
    st.lists(TEXT, max_size=3),
    st.sets(st.sampled_from([*METHODS])),
)
def test_every_line_fits_and_nothing_is_lost(
    name: str, state: str, differs: list[str], methods: set[str]
) -> None:
    row = Experiment(name, "abc", state, differs, dict.fromkeys(methods, RESULT))
    lines = list(list_lines([row]))
    assert max(map(len, lines)) <= 80
    text = "".join("".join(lines).split())
    assert name in text
    assert state in text
    for each in differs:
        assert each[: LONGEST - 1] in text
    assert text.count("5.0-100.0") == len(methods)
    cells = "".join(lines).split()
    assert cells.count("50.0") == len(methods)
