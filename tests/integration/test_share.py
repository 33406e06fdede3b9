"""`graft share`: on a small repository, without TensorFlow, over each kind of remote."""

import hashlib
import re
import sys

import pytest

from helpers.remotes import Local
from helpers.repository import ROOT, commit, dvc, executed, run
from helpers.tiers import long_but_for
from helpers.two_stages import COUNT, DVC_YAML, SIZE, N


@pytest.fixture
def repo(copy_of_two_stages):
    return copy_of_two_stages


def share(repo, *arguments, before=(), fails=False):
    said = run(repo, *before, "graft", "share", *arguments, fails=fails)
    assert "Traceback" not in said
    return said


def clone(repo, remote, name="clone"):
    target = repo.parent / name / "repo"
    target.parent.mkdir()
    run(repo.parent, "git", "clone", "--quiet", str(repo), str(target))
    remote.configure_credentials(target)
    return target


def state(repo):
    """What a failure must not change: Git's status, the cache, the work tree."""
    files = [
        f for f in repo.rglob("*") if f.is_file() and not {".git", "tmp"} & set(f.parts[len(repo.parts) :])
    ]
    return run(repo, "git", "status", "--porcelain"), {f: f.read_bytes() for f in files}


def complete(repo):
    """The next push completes."""
    assert "a fresh clone of HEAD has nothing to compute" in share(repo, "push")
    assert "has nothing to compute" in share(repo, "status", "--verify")


def cached(repo, path):
    """Where below files/md5 a file's object is."""
    md5 = hashlib.md5((repo / path).read_bytes()).hexdigest()
    return f"{md5[:2]}/{md5[2:]}"


def an_object(remote):
    """One of those in the directory."""
    return min(md5 for md5, size in remote.objects().items() if size == SIZE)


def test_after_a_push_a_fresh_clone_runs_nothing(repo, remote):
    remote.configure(repo)
    said = share(repo, "status", fails=True)
    assert "source is not on the remote" in said
    assert f" is not on the remote and {N + 1 - 3} more\n" in said
    assert "count: count.txt is not on the remote" in said
    assert "run `graft share push`" in said
    said = share(repo, "push")
    assert f"pushed {N + 3} objects (0.4 MB) and 2 run-cache records" in said
    assert "note: HEAD is on no branch of a Git remote: `git push`\n" in said
    assert len(remote.objects()) == N + 3
    assert "pushed 0 objects (0.0 MB) and 0 run-cache records" in share(repo, "push")
    mate = clone(repo, remote)
    cache = mate / ".dvc/cache"
    (cache / "graft-of-a-killed-pull/half").mkdir(parents=True)
    said = share(mate, "pull")
    assert f"pulled {N + 3} objects (0.4 MB) and 2 run-cache records" in said
    assert {each.name for each in cache.iterdir()} == {"files", "runs", "graft.lock"}
    assert "`dvc repro` runs no stage" in said
    assert executed(dvc(mate, "repro")) == []
    assert run(mate, "git", "status", "--porcelain") == ""


DAMAGES = [
    *(("local", "truncated"), ("ssh", "truncated"), ("s3", "truncated")),
    *(("local", "other bytes"), ("s3", "other bytes"), ("ssh", "other list")),
]


@pytest.mark.parametrize(("remote", "damage"), long_but_for(DAMAGES[:1], DAMAGES), indirect=["remote"])
def test_a_damaged_object_is_named_kept_out_and_mended(repo, remote, damage):
    remote.configure(repo)
    share(repo, "push")
    md5 = (
        next(m for m in remote.objects() if m.endswith(".dir"))
        if damage == "other list"
        else an_object(remote)
    )
    data = remote.read_object(md5)
    remote.write_object(md5, data[:100] if damage == "truncated" else data.replace(data[40:60], bytes(20)))
    said = share(repo, "status", "--verify", fails=True)
    assert "is damaged on the remote" in said
    assert md5 in said
    assert ("nothing to compute" in share(repo, "status", fails=damage == "truncated")) == (
        damage != "truncated"
    )
    mate = clone(repo, remote)
    said = share(mate, "pull", fails=True)
    assert f"object {md5}: damaged on the remote; whoever has it runs `graft share push --verify`" in said
    assert "but not many" in said
    assert not (mate / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).exists()
    assert "nothing to compute" in share(repo, "push", *(["--verify"] if damage != "truncated" else []))
    assert remote.read_object(md5) == data
    assert f"pulled {N + 1 if damage == 'other list' else 1} objects" in share(mate, "pull")
    assert executed(dvc(mate, "repro")) == []


@pytest.mark.long
def test_a_remote_that_goes_half_way(repo, remote):
    remote.configure(repo)
    before = state(repo)
    in_the_way = remote.folder / "files/md5" / cached(repo, "many/7") if type(remote) is Local else None
    if in_the_way:
        in_the_way.mkdir(parents=True)
    else:
        remote.stop_after(N * SIZE // 2)
    said = share(repo, "push", fails=True)
    assert "nothing here has changed" in said
    assert "remote 'team'" in said
    if in_the_way:
        in_the_way.rmdir()
    else:
        remote.start()
    assert sum(size == SIZE for size in remote.objects().values()) > 0
    assert not any(md5.endswith(".dir") for md5 in remote.objects())
    assert state(repo) == before
    complete(repo)


def test_a_remote_that_is_not_there(repo, remote):
    remote.configure(repo)
    before = state(repo)
    mate = clone(repo, remote)
    remote.stop()
    for where, command in ((repo, "push"), (repo, "status"), (mate, "pull")):
        assert "remote 'team'" in share(where, command, fails=True)
    remote.start()
    assert state(repo) == before
    complete(repo)


@pytest.mark.long
def test_no_permission_to_write(repo, remote):
    remote.configure(repo)
    before = state(repo)
    remote.deny_writing()
    said = share(repo, "push", before=remote.as_person, fails=True)
    assert "remote 'team'" in said
    remote.allow_writing()
    assert remote.objects() == {}
    assert state(repo) == before
    complete(repo)


@pytest.mark.long
def test_a_full_remote(repo, remote):
    remote.limit(N * SIZE // 2)
    remote.configure(repo)
    before = state(repo)
    said = share(repo, "push", fails=True)
    assert "files failed" in said
    assert 0 < sum(size == SIZE for size in remote.objects().values()) < N
    assert state(repo) == before
    remote.limit(N * SIZE * 4)
    complete(repo)


@pytest.mark.parametrize(
    ("set_up", "message"),
    [
        ([], "no default remote is configured (known: none): `dvc remote add --default team "),
        (
            ["team", "../remote"],
            "is a relative path or in a home folder, which is another place for each of the team",
        ),
        (["--local", "team", "{}/remote"], "the remote 'team' is not in the committed .dvc/config"),
        (
            ["team", "{}/repo/make.py/x"],
            "[Errno 20] Not a directory: ",
        ),
    ],
)
def test_a_remote_that_no_clone_could_use(repo, set_up, message):
    if set_up:
        dvc(repo, "remote", "add", "--default", *(word.format(repo.parent) for word in set_up))
    if "team" in set_up[:1]:
        commit(repo, "work")
    before = state(repo)
    assert message in share(repo, "push", fails=True)
    assert state(repo) == before
    if "../remote" in set_up:
        assert not (repo.parent / "remote").exists()
        said = share(repo, "push", fails=True)
        run(repo, *re.search("`(dvc remote add .*?)`", said)[1].split())
        commit(repo, "work")
        assert "has nothing to compute" in share(repo, "push")


@pytest.mark.long
def test_what_a_clone_lacks_is_named_by_stage(repo, tmp_path):
    remote = Local(tmp_path / "remote")
    dvc(repo, "remote", "add", "--default", "team", remote.url)
    assert "dvc: the remote 'team' is not in the committed .dvc/config" in share(repo, "push", fails=True)
    commit(repo, "work")
    assert "has nothing to compute" in share(repo, "status")
    remote.remove_object(an_object(remote))  # DVC sees the list of its directory, and is content
    assert "in sync" in dvc(repo, "status", "--cloud")
    said = share(repo, "status", fails=True)
    assert re.search(r"^make: many/\d+ is not on the remote$", said, re.MULTILINE)
    assert "count:" not in said
    assert "pushed 1 objects" in share(repo, "push")
    (repo / "count.py").write_text(COUNT + "# edited\n")
    said = share(repo, "status")  # HEAD is as it was
    commit(repo, "work")
    said = share(repo, "push", fails=True)
    assert "count: count.py modified\n" in said
    assert "make:" not in said
    assert "run `dvc repro`, commit, and `graft share push` again" in said
    (repo / "source").write_text("another")
    dvc(repo, "add", "--quiet", "source")
    dvc(repo, "repro")
    said = share(repo, "push", fails=True)
    assert (
        "note: a clone gets the last commit, without your changes of dvc.lock, source.dvc: `git commit` them"
        in said
    )
    commit(repo, "work")
    assert "pushed 0 objects" in share(repo, "push")
    run(repo, "git", "rm", "--quiet", "--cached", "metrics/count.json")
    (repo / ".git/info/exclude").write_text("/metrics/count.json\n")
    commit(repo, "work")
    assert "count: metrics/count.json is not committed to Git" in share(repo, "status", fails=True)


@pytest.mark.long
def test_every_commit_and_an_applied_experiment_are_pushed(repo, tmp_path):
    """Also the commits from before the remote was committed, over which `dvc push --all-commits` passes."""
    run(repo, "git", "switch", "--quiet", "--create", "side")
    (repo / "params.yaml").write_text("seed: 2\n")
    dvc(repo, "repro")
    commit(repo, "work")
    side = objects_of(repo)
    run(repo, "git", "switch", "--quiet", "-")
    dvc(repo, "checkout", "--quiet")
    main = objects_of(repo)
    remote = Local(tmp_path / "remote")
    remote.configure(repo)
    dvc(repo, "remote", "modify", "--local", "team", "verify", "false")  # without an address in those commits
    dvc(repo, "exp", "run", "--temp", "--name", "three", "--set-param", "seed=3")
    dvc(repo, "exp", "apply", "three")
    said = share(repo, "push")
    assert "without your changes of dvc.lock, metrics/count.json, params.yaml" in said
    applied = objects_of(repo)
    assert len(side - main) == len(applied - main) == N + 1 + 1
    assert set(remote.objects()) == main | side | applied


def objects_of(repo):
    """md5s of the outputs that the work tree names."""
    from dvc.repo import Repo

    with Repo(str(repo)) as opened:
        return {info.value for infos in opened.used_objs().values() for info in infos}


def test_a_damaged_cache_damages_no_remote(repo, tmp_path):
    remote = Local(tmp_path / "remote")
    remote.configure(repo)
    share(repo, "push")
    md5 = an_object(remote)
    copy = repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    data = copy.read_bytes()
    copy.chmod(0o644)
    copy.write_bytes(b"short")
    copy.chmod(0o444)
    said = share(repo, "push", fails=True)
    assert f"damaged in the local cache, so not pushed: {copy}" in said
    assert remote.read_object(md5) == data


@pytest.mark.parametrize("path", long_but_for(["many/0"], ["params.yaml", "many/0"]))
def test_a_lock_that_a_clone_would_run_again_is_no_proof(repo, tmp_path, path):
    """A parameter that is gone; a part of a directory that was comes from a different run."""
    if path == "many/0":
        part = "  part:\n    cmd: cp many/0 part\n    deps: [many/0]\n    outs: [part]\n"
        (repo / "dvc.yaml").write_text(DVC_YAML + part)
        dvc(repo, "repro")
        (repo / "params.yaml").write_text("seed: 2\n")
        dvc(repo, "repro", "--single-item", "make", "count")
    else:
        (repo / path).write_text("other: 1\n")
    Local(tmp_path / "remote").configure(repo)
    commit(repo, "work")
    said = share(repo, "push", fails=True)
    assert ("part: many/0 comes from a different run" if path == "many/0" else "make: seed deleted") in said


def test_a_list_is_not_pushed_before_its_files(repo, tmp_path):
    remote = Local(tmp_path / "remote")
    remote.configure(repo)
    (repo / ".dvc/cache/files/md5" / cached(repo, "many/7")).unlink()
    assert "many/7 is not on the remote" in share(repo, "push", fails=True)
    assert not any(md5.endswith(".dir") for md5 in remote.objects())


def test_a_hook_keeps_its_index(repo, tmp_path):
    Local(tmp_path / "remote").configure(repo)
    run(repo, "git", "worktree", "add", "--quiet", str(tmp_path / "tree"))
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); from graft.cli.main import app; app()"
    hook = repo / ".git/hooks/pre-commit"
    hook.write_text(f'#!/bin/sh\n"{sys.executable}" -c "{code}" share status\ntrue\n')
    hook.chmod(0o755)
    (tmp_path / "tree/new").write_text("new")
    commit(tmp_path / "tree", "new")
    assert "new" in run(tmp_path / "tree", "git", "show", "--stat", "HEAD")


@pytest.mark.long
def test_an_address_that_is_not_committed(repo, tmp_path):
    Local(tmp_path / "remote").configure(repo)
    dvc(repo, "remote", "modify", "team", "url", str(tmp_path / "other"))
    assert "your url of the remote 'team' is not committed; in the commit it is " in share(
        repo, "push", fails=True
    )
