"""The links between DVC's cache and the work tree: chosen by what the file system can, never by force."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from graft.sharing.links import HARD_LINKS, choose_links
from helpers.repository import dvc, edit


def choose(repo: Path) -> str | None:
    """Choose; what stands in this clone's own configuration then."""
    with Repo(str(repo)) as opened:
        choose_links(opened)
        found: str | None = opened.config.load_one("local")["cache"].get("type")
        return found


def has_reflinks(folder: Path) -> bool:
    with Repo(str(folder)) as opened:
        try:
            opened.fs.reflink(str(folder / "params.yaml"), str(folder / "copy"))
        except OSError:
            return False
    return True


def test_they_are_chosen_for_this_clone_only_and_once(copy_of_two_stages: Path) -> None:
    committed = (copy_of_two_stages / ".dvc/config").read_bytes()
    before = sorted((copy_of_two_stages / ".dvc").rglob("*"))
    expected = None if has_reflinks(copy_of_two_stages) else HARD_LINKS
    assert choose(copy_of_two_stages) == expected
    assert choose(copy_of_two_stages) == expected
    assert (copy_of_two_stages / ".dvc/config").read_bytes() == committed
    left = {path.name for path in set((copy_of_two_stages / ".dvc").rglob("*")) - set(before)}
    assert left <= {"config.local"}


@pytest.mark.parametrize("level", ["--local", "--project"])
def test_what_somebody_chose_stays(copy_of_two_stages: Path, level: str) -> None:
    dvc(copy_of_two_stages, "config", level, "cache.type", "copy")
    assert choose(copy_of_two_stages) == ("copy" if level == "--local" else None)


def test_where_there_are_no_links_nothing_is_set(
    copy_of_two_stages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    assert choose(copy_of_two_stages) is None


@pytest.mark.long
def test_a_stage_leaves_no_second_copy(copy_of_two_stages: Path) -> None:
    if has_reflinks(copy_of_two_stages):
        pytest.skip("the bytes of a reflink are shared unseen")
    choose(copy_of_two_stages)
    edit(copy_of_two_stages, {"seed": 2})
    dvc(copy_of_two_stages, "repro")
    outputs = [*(copy_of_two_stages / "many").iterdir(), copy_of_two_stages / "count.txt"]
    cached = {path.stat().st_ino for path in (copy_of_two_stages / ".dvc/cache").rglob("*")}
    assert len(outputs) > 1
    assert {path.stat().st_ino for path in outputs} <= cached
    # As docs/team.md has it.
    dvc(copy_of_two_stages, "unprotect", "many")
    assert {path.stat().st_nlink for path in (copy_of_two_stages / "many").iterdir()} == {1}
    dvc(copy_of_two_stages, "config", "--local", "cache.type", "copy")
    dvc(copy_of_two_stages, "checkout", "--relink")
    assert not {path.stat().st_ino for path in outputs} & cached
