"""The two tiers of tests: `make test` leaves out what is marked long, `make test-all` nothing."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest


def long_but_for(quick: Collection[Any], cases: Sequence[Any]) -> list[Any]:
    """Mark the cases of a parametrized test as long, but for those in `quick`."""
    marks = {True: (), False: pytest.mark.long}
    tuples = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [
        pytest.param(*values, marks=marks[case in quick]) for case, values in zip(cases, tuples, strict=True)
    ]
