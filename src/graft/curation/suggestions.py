"""Findings -> rows of the edit file, for a person to change."""

import csv
from collections.abc import Collection
from io import StringIO
from pathlib import Path

from graft.curation.findings import Findings
from graft.data.edits import COLUMNS
from graft.utils.files import write_text


def suggest(findings: Findings, known: Collection[str], n: int) -> list[list[str]]:
    """Make rows of the edit file, all of them ``keep``: a person changes those that are to be otherwise.

    Args:
        findings: of which the first `n` suspects, with the suggested class as label, and the images of train
            and validation that resemble a test image are taken.
        known: the keys that have a row.
        n: how many suspects at most.
    """
    rows: dict[str, list[str]] = {}
    for _, leak in findings.duplicates[findings.duplicates["leak"]].iterrows():
        note = f"resembles {leak['path']} of test (similarity {leak['similarity']:.3f})"
        rows.setdefault(leak["other_key"], [leak["other_key"], "keep", "", leak["other_path"], note])
    for _, one in findings.suspects.head(n).iterrows():
        scores = f"{one['label']} {one['score']:.2f}, {one['suggested']} {one['suggested_score']:.2f}"
        note = f"a label of {one['split']} that may be wrong: {scores}"
        notes = [*(row[-1] for row in [rows.get(one["key"])] if row), note]
        rows[one["key"]] = [one["key"], "keep", one["suggested"], one["path"], "; ".join(notes)]
    return [row for key, row in rows.items() if key not in known]


def append_rows(path: Path, rows: Collection[list[str]]) -> None:
    """Add rows to the edit file, whose own stay as they are; where there is no file, make it."""
    text = path.read_bytes().decode() if path.exists() else ",".join(COLUMNS) + "\n"
    added = StringIO()
    for row in rows:  # without quotes, a carriage return would end it
        dialect = "unix" if "\r" in "".join(row) else "excel"
        csv.writer(added, dialect, lineterminator="\n").writerow(row)
    write_text(text + "\n" * (not text.endswith("\n")) + added.getvalue(), path)
