"""The commit that a file belongs to."""

from pathlib import Path

from graft.utils.files import digest
from graft.utils.git import GitError, git


def commit_of(root: Path, file: Path) -> str | None:
    """Find the first commit whose dvc.lock records a file with this content.

    A model's file cannot hold it: the commit has a dvc.lock that has the file's md5.

    Args:
        root: of the DVC repository.
        file: an output of one of its stages.

    Returns:
        The commit's id in hexadecimal; None if no commit of HEAD's history records the file, or `root` is in
        no Git repository.
    """
    try:
        found = git(
            root, "log", "--reverse", "--format=%H", f"-S{digest(file, 'md5')}", "--", "dvc.lock"
        ).split()
    except GitError:
        return None
    return found[0] if found else None
