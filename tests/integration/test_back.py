"""`graft back`: from whatever a run left, to what HEAD has."""

import hashlib
import os
import re
import shutil

import pytest

from helpers.repository import commit, dvc, executed, run
from helpers.tiers import long_but_for
from helpers.two_stages import COUNT, DVC_YAML, build_two_stages


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
    (repo / "reports/index.html").write_text("of seed 2")
    back(repo)
    assert (repo / "reports/index.html").exists()
    run_an_experiment(repo)
    back(repo)
    assert not (repo / "reports/index.html").exists()


def test_it_works_from_any_folder(repo, tmp_path):
    before = state(repo)
    run_an_experiment(repo)
    assert "as committed again: many of make\n" in run(tmp_path, "graft", "back", "--root", "repo")
    assert state(repo) == before
    run_an_experiment(repo)
    run(repo, "sh", "-c", "cd metrics && graft back")
    assert state(repo) == before


def test_outputs_that_are_right_stay_without_a_cache(repo):
    before = state(repo)
    (repo / "params.yaml").write_text("seed: 2\n")
    shutil.rmtree(repo / ".dvc/cache")
    assert "not in the cache" not in back(repo)
    assert state(repo) == before


def test_links_in_an_output_s_place_are_replaced_and_what_they_lead_to_is_left(repo, tmp_path):
    before = state(repo)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/0").write_text("a person's")
    shutil.rmtree(repo / "many")
    (repo / "many").symlink_to(tmp_path / "mine")
    (repo / "count.txt").unlink()
    (repo / "count.txt").symlink_to("count.txt")
    back(repo)
    assert state(repo) == before
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["0"]
    assert (tmp_path / "mine/0").read_text() == "a person's"


@pytest.mark.long
def test_links_into_a_cache_that_is_gone_are_named(repo):
    dvc(repo, "config", "cache.type", "symlink")
    shutil.rmtree(repo / "many")
    dvc(repo, "checkout", "--force")
    shutil.rmtree(repo / ".dvc/cache")
    assert "not in the cache: many of make\n" in back(repo, fails=True)


@pytest.mark.long
def test_an_object_that_was_edited_through_a_link_is_not_called_committed(repo):
    dvc(repo, "config", "cache.type", "hardlink")
    (repo / "count.txt").unlink()
    dvc(repo, "checkout", "--force")
    (repo / "count.txt").chmod(0o644)
    (repo / "count.txt").write_text("edited")
    said = back(repo, fails=True)
    assert "not in the cache: count.txt of count\n" in said
    assert "again: count.txt" not in said


def test_what_head_has_no_record_of_is_left_and_named(repo):
    (repo / "dvc.yaml").write_text(DVC_YAML + "  more:\n    cmd: echo 1 > more\n    outs: [more]\n")
    dvc(repo, "repro")
    (repo / "metrics/mine.json").write_text("{}")
    run(repo, "git", "add", "metrics/mine.json")
    said = back(repo)
    for name in ("more of more", "metrics/mine.json", "dvc.yaml"):
        assert f"not touched, and not as committed: {name}\n" in said
    assert (repo / "more").read_text() == "1\n"
    assert (repo / "metrics/mine.json").read_text() == "{}"


@pytest.mark.long
def test_names_of_any_bytes(repo):
    names = [b"metrics/a\nb", b"metrics/\xe9", 'metrics/é"\\'.encode(), b"metrics/-x", b"caf\xe9"]
    files = [repo / os.fsdecode(name) for name in names]
    for file in files:
        file.write_text("1")
    commit(repo, "names")
    for file in files:
        file.write_text("2")
    run(repo, "sh", "-c", "graft back > said")
    said = (repo / "said").read_bytes()
    assert all(b"as committed again: " + name + b"\n" in said for name in names[:-1])
    assert b"not touched, and not as committed: caf\xe9\n" in said
    assert [file.read_text() for file in files] == ["1", "1", "1", "1", "2"]


@pytest.mark.long
def test_what_stops_it_is_said_in_a_sentence(repo):
    big = "  big:\n    cmd: mkdir -p sub && head -c 2000000 /dev/zero > sub/big\n    outs: [sub/big]\n"
    (repo / "dvc.yaml").write_text(DVC_YAML + big)
    dvc(repo, "repro")
    commit(repo, "big")
    (repo / "sub/big").unlink()
    said = run(repo, "bash", "-c", "ulimit -f 1000; graft back", fails=True)  # as on a full disk
    assert said == "cannot be written here (is the disk full?): sub/big of big\n"
    shutil.rmtree(repo / "sub")
    (repo / "sub").write_text("a person's")
    said = back(repo, fails=True)
    assert re.fullmatch(r"\[Errno \d+\] Not a directory: '.*sub/big'\n", said)
    assert (repo / "sub").read_text() == "a person's"
    (repo / "dvc.yaml").unlink()
    assert re.fullmatch("'.*dvc.yaml' does not exist\n", back(repo, fails=True))
