"""Git's command line, asked about one folder."""

import os
import subprocess
from pathlib import Path

# In a hook Git sets these (`git rev-parse --local-env-vars`), and `git clone` would write its index over
# the person's.
OF_A_REPOSITORY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}


class GitError(Exception):
    """Git is not installed, or refused; the text says which command and why."""


def git(folder: Path, *arguments: str) -> str:
    """Run a Git command in a folder, in the repository that the folder lies in and in no other.

    Args:
        folder: where to run it.
        arguments: of Git, such as ``"log", "-1"``. Names of files are printed as they are, without quotes.

    Returns:
        What it printed on stdout.

    Raises:
        GitError: if Git is not installed, or the command fails.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}
    command = ["git", "-C", str(folder), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=environment)
    except FileNotFoundError:
        raise GitError("git is not installed: install it, https://git-scm.com") from None
    if done.returncode:
        raise GitError(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout
