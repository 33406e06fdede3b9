"""Git is asked about the folder that is named, whatever a hook has set."""

import subprocess

import pytest

from graft.utils.git import GitError, check_blobs, git
from helpers.repository import run


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    run(folder, "git", "init", "--quiet")
    (folder / "é.txt").write_text("text")
    run(folder, "git", "add", "--all")
    return folder


def test_names_are_printed_as_they_are(repo):
    assert git(repo, "ls-files") == "é.txt\n"


def test_a_hook_s_repository_is_not_taken_for_this_one(repo, monkeypatch):
    listed = subprocess.check_output(["git", "rev-parse", "--local-env-vars"], text=True).split()
    assert "GIT_INDEX_FILE" in listed
    for name in listed:
        if not name.startswith("GIT_CONFIG"):  # by which a person's own settings come, such as safe.directory
            monkeypatch.setenv(name, "/nowhere")
    assert git(repo, "ls-files") == "é.txt\n"


def test_a_failure_is_a_sentence(repo, monkeypatch):
    with pytest.raises(GitError, match=r"^git log: fatal: .*[^\n]$"):
        git(repo, "log")
    monkeypatch.setenv("PATH", str(repo))
    with pytest.raises(GitError, match="git is not installed"):
        git(repo, "log")


def test_a_partial_clone_lacks_what_another_branch_has(repo, tmp_path):
    run(repo, "git", "commit", "--quiet", "--message", "first")
    run(repo, "git", "branch", "old")
    (repo / "é.txt").write_text("other")
    run(repo, "git", "commit", "--quiet", "--all", "--message", "second")
    run(repo, "git", "config", "uploadpack.allowFilter", "true")
    run(tmp_path, "git", "clone", "--quiet", "--filter=blob:none", repo.as_uri(), "partial")
    partial = tmp_path / "partial"
    check_blobs(partial, "HEAD:./")
    for revisions in (["origin/old:./"], ["--remotes", "--", "."]):
        with pytest.raises(
            GitError, match="a partial clone, which lacks files of older commits: `git config"
        ):
            check_blobs(partial, *revisions)
    check_blobs(repo, "old:./")
