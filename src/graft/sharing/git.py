"""The commits of a repository, and a fresh clone of the last one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.repo import Repo

from graft.utils.git import check_blobs, git

REFS = ["--branches", "--tags", "--remotes", "HEAD"]
DVC_FILES = ["*dvc.yaml", "*dvc.lock", "*.dvc"]


@contextmanager
def cloned(repo: Repo) -> Iterator[Repo]:
    """Clone HEAD to a temporary folder, without any data and without this machine's config.local.

    Yields:
        DVC's repository there; it knows the addresses of `repo`'s remotes in every commit, also in those
        from before there was a remote.
    """
    git_root = Path(repo.scm.root_dir).resolve()
    remotes = {name: {"url": remote["url"]} for name, remote in repo.config["remote"].items()}
    with TemporaryDirectory(prefix="graft-share-") as folder:
        git(git_root, "clone", "--quiet", "--shared", str(git_root), f"{folder}/clone")
        root = Path(folder, "clone", Path(repo.root_dir).resolve().relative_to(git_root))
        config = {"core": {"site_cache_dir": f"{folder}/site"}, "remote": remotes}
        with Repo(str(root), config=config) as fresh:
            yield fresh


def list_commits(folder: Path) -> list[str]:
    """List the commits of all branches and tags that changed what DVC tracks: no other names another object.

    Raises:
        GitError: in a partial clone (`--filter`) that lacks files of these commits.
    """
    check_blobs(folder, "--full-history", *REFS, "--", ".")
    return git(folder, "rev-list", "--full-history", *REFS, "--", *DVC_FILES).split()
