"""The files of a commit, or of the work tree, as Git and DVC have them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.repo import Repo

from graft.utils.git import check_blobs


@contextmanager
def open_revision(repo: Path, revision: str | None) -> Iterator[DVCFileSystem]:
    """Open the files of a commit or, None, of the work tree; the remotes are today's in either case.

    Paths begin with ``/``, which is the root of `repo`, wherever in its Git repository that lies. (A
    `DVCFileSystem` made with ``rev`` is rooted at the Git repository, and reads every project in it.)

    Raises:
        GitError: if it is a partial clone, and lacks files of that commit.
        dvc.exceptions.NotDvcRepoError: if the commit has no such folder.
        dvc.scm.RevError: if there is no such commit.
    """
    root = str(repo.resolve())  # DVC compares it with what Git says
    with Repo(root) as here:
        name = here.config["core"].get("remote")
        config = {"core": {"remote": name} if name else {}, "remote": here.config["remote"]}
        if revision is None:
            yield DVCFileSystem(here)
            return
    check_blobs(repo, f"{revision}:./")
    with Repo(root, config=config) as there, there.switch(revision):
        yield DVCFileSystem(there)
