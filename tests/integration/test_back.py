"""`graft back`: from whatever a run left, to what HEAD has."""

import hashlib
import os

import pytest

from helpers.repository import commit, dvc, executed, run
from helpers.tiers import long_but_for
from helpers.two_stages import COUNT, build_two_stages


@pytest.fixture
def repo(copy_of_two_stages):
    return copy_of_two_stages


def state(repo):
    """Every file that a person sees."""
    files = [f for f in repo.rglob("*") if f.is_file() and not {".git", ".dvc"} & set(f.parts)]
    return {f.relative_to(repo).as_posix(): f.read_bytes() for f in files}


def back(repo, fails=False):
    return run(repo, "graft", "back", fails=fails)


def run_an_experiment(repo):
    dvc(repo, "exp", "run", "--set-param", "seed=2")


def run_a_failing_experiment(repo):
    dvc(repo, "exp", "run", "--set-param", "seed=999", fails=True)  # no byte has that value


def run_without_committing(repo):
    (repo / "params.yaml").write_text("seed: 2\n")
    dvc(repo, "repro")


def stage_everything(repo):
    run_without_committing(repo)
    run(repo, "git", "add", "--all")


def delete_everything(repo):
    for name in ("params.yaml", "dvc.lock", "count.txt", "metrics/count.json"):
        (repo / name).unlink()


def interrupt_a_stage(repo):
    (repo / "params.yaml").write_text("seed: 999\n")
    dvc(repo, "repro", fails=True)
    (repo / "count.txt").write_text("half")


def hide_a_change_from_git(repo):
    """As DVC may leave params.yaml: of the size and the time that Git has recorded."""
    for name, value in {"core.trustctime": "false", "core.checkStat": "minimal"}.items():
        run(repo, "git", "config", name, value)
    long_ago = (1_000_000_000, 1_000_000_000)
    os.utime(repo / "params.yaml", long_ago)
    run(repo, "git", "update-index", "--refresh")
    (repo / "params.yaml").write_text("seed: 2\n")
    dvc(repo, "repro")
    os.utime(repo / "params.yaml", long_ago)
    assert "params.yaml" not in run(repo, "git", "status", "--porcelain")


@pytest.mark.parametrize(
    "leave",
    long_but_for(
        [run_an_experiment, delete_everything],
        [
            run_an_experiment,
            run_a_failing_experiment,
            run_without_committing,
            stage_everything,
            delete_everything,
            interrupt_a_stage,
            hide_a_change_from_git,
        ],
    ),
)
def test_from_whatever_a_run_left_it_returns_to_head(repo, leave):
    before = state(repo)
    leave(repo)
    assert state(repo) != before
    said = back(repo)
    assert state(repo) == before
    assert run(repo, "git", "status", "--porcelain") == ""
    assert executed(dvc(repo, "repro")) == []
    assert "as committed again: params.yaml\n" in said
    assert ("count.txt" in said) == (leave is not run_a_failing_experiment)


def test_in_a_subdirectory_of_a_git_repository(tmp_path):
    run(tmp_path, "git", "init", "--quiet")
    repo = tmp_path / "below"
    build_two_stages(repo, "--subdir")
    (tmp_path / "params.yaml").write_text("another project's\n")
    commit(tmp_path, "more")
    (tmp_path / "params.yaml").write_text("changed\n")
    before = state(repo)
    run_an_experiment(repo)
    back(repo)
    assert state(repo) == before
    assert (tmp_path / "params.yaml").read_text() == "changed\n"


def test_a_person_s_work_is_left_and_named(repo):
    (repo / "count.py").write_text(COUNT + "# edited\n")
    (repo / "note.txt").write_text("new")
    (repo / "source").write_text("another")  # `dvc exp run` adds it
    run_an_experiment(repo)
    (repo / "source").write_text("not added yet")
    said = back(repo)
    assert "not touched, and not as committed: count.py\n" in said
    assert "not touched, and not as committed: source.dvc\n" in said
    assert (repo / "count.py").read_text() == COUNT + "# edited\n"
    assert (repo / "source").read_text() == "not added yet"
    assert (repo / "note.txt").exists()
    assert (repo / "params.yaml").read_text() == "seed: 1\n"


def test_what_the_cache_lacks_is_named_with_its_stage_and_the_remedy(repo):
    before = state(repo)
    md5 = hashlib.md5((repo / "count.txt").read_bytes()).hexdigest()
    run_an_experiment(repo)
    (repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    said = back(repo, fails=True)
    assert "not in the cache: count.txt of count\n" in said
    assert "`graft share pull` fetches these, or `dvc repro` computes them" in said
    assert state(repo) == {name: data for name, data in before.items() if name != "count.txt"}
    assert executed(dvc(repo, "repro")) == ["count"]
    assert state(repo) == before


def test_where_nothing_has_changed_it_changes_nothing(repo):
    before = state(repo)
    assert back(repo) == "parameters, lock, metrics and outputs are those of HEAD\n"
    assert state(repo) == before


def test_the_page_of_another_run_does_not_stay(repo):
    (repo / "reports").mkdir()
    files = [repo / "reports/index.html", repo / "reports/classes.csv"]
    for file in files:
        file.write_text("of seed 2")
    back(repo)
    assert all(file.exists() for file in files)
    run_an_experiment(repo)
    back(repo)
    assert not any(file.exists() for file in files)
