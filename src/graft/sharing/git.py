"""Questions to Git."""

import os
import subprocess
from pathlib import Path

from graft.sharing.remote import ShareError

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
REFS = ["--branches", "--tags", "--remotes", "HEAD"]
DVC_FILES = ["*dvc.yaml", "*dvc.lock", "*.dvc"]


def git(folder: Path, *arguments: str) -> str:
    """What a Git command printed. Raises ShareError where it fails."""
    # In a hook Git sets GIT_INDEX_FILE and others: `git clone` would write its index over the person's.
    person = {k: v for k, v in os.environ.items() if k not in OF_A_REPOSITORY}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=person)
    if done.returncode:
        raise ShareError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def list_commits(folder: Path) -> list[str]:
    """The commits of all branches and tags that changed what DVC tracks: no other names another object."""
    _require_complete(folder)
    return git(folder, "rev-list", "--full-history", *REFS, "--", *DVC_FILES).split()


def _require_complete(folder: Path) -> None:
    """Raise ShareError in a partial clone (`--filter`): DVC waits forever for what Git has not fetched."""
    try:
        git(folder, "config", "--get-regexp", r"^remote\..*\.(promisor|partialclonefilter)$")
    except ShareError:
        return
    lacking = git(folder, "rev-list", "--objects", "--missing=print", *REFS)
    if "\n?" in lacking:
        raise ShareError(
            "a partial clone, whose older commits DVC cannot read: `git config --unset "
            "remote.origin.partialclonefilter`, `git fetch --refetch`"
        )
