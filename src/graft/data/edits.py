"""The edit file: a person's decisions on single images, by their content, which `prepare` honours."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from graft.data.audit import LISTED, Row

COLUMNS = ("key", "action", "label", "path", "note")
ACTIONS = ("keep", "drop", "relabel")
KEY = re.compile("[0-9a-f]{64}")
NAME = "edits.csv"


class Edit(NamedTuple):
    """A decision on an image.

    Attributes:
        line: of the file, from 1.
        action: ``keep`` says that a person has looked and changes nothing.
        label: the new one of ``relabel``; unused otherwise.
        note: the reason; may be empty.
    """

    line: int
    action: str
    label: str
    note: str


class Edited(NamedTuple):
    """The rows that are left, path and reason of those dropped, and action -> how many images it met."""

    rows: list[Row]
    dropped: list[tuple[str, str]]
    counts: dict[str, int]


def read_edits(path: Path) -> dict[str, Edit]:
    """Read an edit file: key -> edit.

    Raises:
        ValueError: naming the line of each row that cannot be used.
    """
    edits: dict[str, Edit] = {}
    problems: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            if (header := next(reader, [])) != [*COLUMNS]:
                raise ValueError(f"{NAME}, line 1: expected {','.join(COLUMNS)}, received {header}")
            for row in filter(None, reader):
                if problem := _find_problem(row, edits):
                    problems.append(f"line {reader.line_num}: {problem}")
                else:
                    key, action, label, _, note = row
                    edits[key] = Edit(reader.line_num, action, label, note)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{NAME} is not CSV in UTF-8 ({error}): save it as such") from None
    _refuse(problems)
    return edits


def _find_problem(row: list[str], edits: Mapping[str, Edit]) -> str:
    if len(row) != len(COLUMNS):
        return f"expected {len(COLUMNS)} values, received {len(row)}; quote one that has a comma"
    key, action, label, *_ = row
    if not KEY.fullmatch(key):
        return f"{key=}, expected 64 hexadecimal digits, as in the column key of data/manifest.csv"
    if action not in ACTIONS:
        return f"{action=}, expected {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}"
    if action == "relabel" and not label:
        return "label is empty, expected the class that the image is to have"
    if key in edits:
        return f"{key=} stands in line {edits[key].line}, too: remove one of them"
    return ""


def apply_edits(rows: Iterable[Row], edits: Mapping[str, Edit], labels: Counter[str]) -> Edited:
    """Apply edits to accepted images, as if they had come so. Rows of other images are warned of.

    Args:
        rows: of any order; copies of an image are edited alike.
        edits: key -> edit.
        labels: class -> its images, which a change of label changes.

    Raises:
        ValueError: if a label is no class: that is a folder's, since a slip of the pen must not make one.
    """
    rows = list(rows)
    keys = {row.key for row in rows}
    found = {key: edit for key, edit in edits.items() if key in keys}
    _warn_unknown(edits, found)
    unknown = [edit for edit in found.values() if edit.action == "relabel" and edit.label not in labels]
    classes = ", ".join(sorted(labels)[:30])
    _refuse([f"line {edit.line}: label={edit.label!r}, expected a class: {classes}" for edit in unknown])
    kept, dropped = [], []
    for row in rows:
        edit = found.get(row.key)
        if edit and edit.action == "drop":
            dropped.append((row.path, ": ".join(filter(None, [f"dropped by {NAME}", edit.note]))))
        elif edit and edit.action == "relabel":
            labels.subtract([row.label])
            labels.update([edit.label])
            kept.append(row._replace(label=edit.label))
        else:
            kept.append(row)
    counts = Counter(edit.action for edit in found.values())
    return Edited(kept, dropped, {action: counts[action] for action in ACTIONS})


def _warn_unknown(edits: Mapping[str, Edit], found: Mapping[str, Edit]) -> None:
    if others := sorted(edits.keys() - found.keys(), key=lambda key: edits[key].line):
        line = edits[others[0]].line
        print(
            f"WARNING: {len(others)} of {len(edits)} rows of {NAME} are of no image that is accepted here, "
            f"such as line {line}, key={others[0]}"
        )


def _refuse(problems: list[str]) -> None:
    if problems:
        more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        lines = "\n  ".join([*problems[:LISTED], *more])
        raise ValueError(f"{NAME} has rows that cannot be used, {len(problems)} in all:\n  {lines}")
