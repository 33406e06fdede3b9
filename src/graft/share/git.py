"""Questions to Git."""

import subprocess
from pathlib import Path

from graft.share.remote import ShareError

DVC_FILES = ["*dvc.yaml", "*dvc.lock", "*.dvc"]


def git(folder: Path, *arguments: str) -> str:
    """What a Git command printed. Raises ShareError where it fails."""
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ShareError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def list_commits(folder: Path) -> list[str]:
    """The commits of all branches and tags that changed what DVC tracks: no other names another object."""
    refs = ["--branches", "--tags", "--remotes", "HEAD"]
    return git(folder, "log", "--full-history", "--format=%H", *refs, "--", *DVC_FILES).split()
