"""graft.utils.dvc_lock: what DVC writes, sooner."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from dvc import dvcfile

from graft.utils.dvc_lock import keep_locks_in_c
from helpers.repository import ROOT

NUMBERS = [0, -1, 0.1, 1e-05, 1e22, 1.0, True, False, None, [], {}]
TEXTS = ["", "yes", "1", "1e3", "null", "~", "a: b", "# c", "é", "日本", " space ", "it's", "x " * 99]
ODD = ["\U0001f600", "two\nlines", "x" * 200, "\x85", 'a "b"', "\t"]
START = b"schema: '2.0'\nstages:\n  split:\n    cmd: python stages/split.py\n    outs:\n    - path: a\n"


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvcfile, "modify_yaml", dvcfile.modify_yaml)


def rewrite(file: Path, values: list[Any]) -> bytes:
    for name, one in (("compare", values), ("new", {"z": values, "a": {"z": OrderedDict(b=1, a=values)}})):
        with dvcfile.modify_yaml(str(file)) as data:
            params = OrderedDict([("params.yaml", OrderedDict([("z", one), ("a", None)]))])
            data.setdefault("stages", {})[name] = OrderedDict(cmd="python x.py", params=params)
    return file.read_bytes()


@pytest.mark.parametrize("values", [NUMBERS, TEXTS, *([odd] for odd in ODD)], ids=ascii)
def test_a_lock_has_the_bytes_that_dvc_writes(tmp_path: Path, values: list[Any]) -> None:
    files = [tmp_path / "of_dvc" / "dvc.lock", tmp_path / "dvc.lock"]
    files[0].parent.mkdir()
    for file in files:
        file.write_bytes(START)
    expected = rewrite(files[0], values)
    keep_locks_in_c()
    assert rewrite(files[1], values) == expected


def test_the_lock_of_this_repository_stays_as_it_is(tmp_path: Path) -> None:
    content = (ROOT / "dvc.lock").read_bytes()
    (tmp_path / "dvc.lock").write_bytes(content)
    keep_locks_in_c()
    with dvcfile.modify_yaml(str(tmp_path / "dvc.lock")):
        pass
    assert (tmp_path / "dvc.lock").read_bytes() == content


def test_comments_of_another_file_stay(tmp_path: Path) -> None:
    keep_locks_in_c()
    file = tmp_path / "dvc.yaml"
    file.write_text("stages: {}  # none yet\n")
    assert b"# none yet" in rewrite(file, [])
