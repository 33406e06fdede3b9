"""graft.utils.quick_dvc: what DVC reads, writes and lists, sooner."""

from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dvc import dvcfile
from dvc.repo import Repo
from dvc.stage import utils
from dvc.utils import strictyaml
from dvc.utils.serialize import _yaml

from graft.utils.quick_dvc import quicken_dvc
from helpers.repository import ROOT

NUMBERS = [0, -1, 0.1, 1e-05, 1e22, 1.0, True, False, None, [], {}]
TEXTS = ["", "yes", "1", "1e3", "null", "~", "a: b", "# c", "é", "日本", " space ", "it's", "x " * 99]
ODD = ["\U0001f600", "two\nlines", "x" * 200, "\x85", 'a "b"', "\t"]
START = b"schema: '2.0'\nstages:\n  split:\n    cmd: python stages/split.py\n    outs:\n    - path: a\n"


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (dvcfile, "modify_yaml"),
        (strictyaml, "parse_yaml"),
        (_yaml, "parse_yaml"),
        (utils, "_get_stage_files"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))


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
    quicken_dvc()
    assert rewrite(files[1], values) == expected


def test_the_lock_of_this_repository_stays_as_it_is(tmp_path: Path) -> None:
    content = (ROOT / "dvc.lock").read_bytes()
    (tmp_path / "dvc.lock").write_bytes(content)
    quicken_dvc()
    with dvcfile.modify_yaml(str(tmp_path / "dvc.lock")):
        pass
    assert (tmp_path / "dvc.lock").read_bytes() == content


def test_comments_of_another_file_stay(tmp_path: Path) -> None:
    quicken_dvc()
    file = tmp_path / "dvc.yaml"
    file.write_text("stages: {}  # none yet\n")
    assert b"# none yet" in rewrite(file, [])


def test_a_text_is_read_as_dvc_reads_it_however_often_and_whoever_changes_it() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("dvc.yaml", "dvc.lock", "params.yaml")]
    expected = [strictyaml.parse_yaml(text, "x.yaml") for text in texts]
    quicken_dvc()
    for _ in range(2):
        found = [strictyaml.parse_yaml(text, "x.yaml") for text in texts]
        assert found == expected
        for each in found:
            each.clear()
    with pytest.raises(strictyaml.YAMLFileCorruptedError):
        strictyaml.parse_yaml("a: [", "x.yaml")


def test_the_files_of_a_stage_are_those_that_dvc_lists(built: SimpleNamespace) -> None:
    with Repo(str(built.repo)) as repo:
        expected = [utils._get_stage_files(stage) for stage in repo.index.stages]
        quicken_dvc()
        assert [utils._get_stage_files(stage) for stage in repo.index.stages] == expected
    names = {Path(file).name for files in expected for file in files}
    assert {"dvc.lock", "linear.json"} <= names
    assert not {"model.keras", "features"} & names
