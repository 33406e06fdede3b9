"""Git's command line, asked about one folder."""

import os
import subprocess
from pathlib import Path

# In a hook Git sets others, such as GIT_INDEX_FILE: `git clone` would write its index over the person's.
KEPT = ("GIT_ASKPASS", "GIT_CONFIG_", "GIT_DISCOVERY_", "GIT_EXEC_PATH", "GIT_SSH", "GIT_SSL_")


class GitError(Exception):
    """Git is not installed, or refused; the text says which command and why."""


def git(folder: Path, *arguments: str) -> str:
    """Run a Git command, such as ``"log", "-1"``, in the repository that a folder lies in and in no other.

    Returns what it printed on stdout, names of files as `os.fsdecode` has them. Raises a GitError if Git is
    not installed, or the command fails.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(KEPT)}
    command = ["git", "-C", str(folder), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
    except FileNotFoundError:
        raise GitError("git is not installed: install it, https://git-scm.com") from None
    if done.returncode:
        raise GitError(f"git {arguments[0]}: {' '.join(os.fsdecode(done.stderr).split())}")
    return done.stdout.decode(errors="surrogateescape")


def check_blobs(folder: Path, *revisions: str) -> None:
    """Check that a partial clone (`--filter`) has what DVC is to read, or DVC would wait for it forever.

    Args:
        folder: in the repository.
        revisions: commits, or such as ``HEAD:./``, with the options and paths of `git rev-list`.

    Raises:
        GitError: if it lacks a file.
    """
    if ".partialclonefilter=" not in git(folder, "config", "--list"):
        return
    if "\n?" in git(folder, "rev-list", "--objects", "--missing=print", *revisions):
        raise GitError(
            "a partial clone, which lacks files of older commits: `git config --unset "
            "remote.origin.partialclonefilter`, `git fetch --refetch`"
        )
