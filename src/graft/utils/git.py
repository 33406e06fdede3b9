"""Questions to Git."""

import os
import subprocess
from pathlib import Path

OF_A_REPOSITORY = {  # `git rev-parse --local-env-vars`
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
}


class GitError(Exception):
    """A Git command failed."""


def git(folder: Path, *arguments: str) -> str:
    """Return what a Git command prints.

    Args:
        folder: where it runs.
        arguments: such as ``"rev-parse", "HEAD"``.

    Raises:
        GitError: if it fails, with what it says.
    """
    # In a hook Git sets GIT_INDEX_FILE and others: `git clone` would write its index over the person's.
    person = {k: v for k, v in os.environ.items() if k not in OF_A_REPOSITORY}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=person)
    if done.returncode:
        raise GitError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
