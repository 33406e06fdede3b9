"""The way back: parameters, lock, metrics and outputs as the last commit has them."""

from pathlib import Path

from dvc.repo import Repo, lock_repo

from graft.config.paths import PAGE
from graft.sharing.staleness import stage_name
from graft.utils.git import git

FILES = ["params.yaml", "dvc.lock", "metrics"]


def restore(repo: Repo) -> tuple[list[str], list[str]]:
    """Return params.yaml, dvc.lock, metrics and the outputs of dvc.yaml to HEAD's.

    Nothing is computed or fetched, and neither code, dvc.yaml nor what `dvc add` keeps is touched.

    Args:
        repo: with a commit.

    Returns:
        Files of Git's and outputs of DVC's that are HEAD's again; "output of stage" that the cache lacks.

    Raises:
        GitError: without a commit.
        dvc.exceptions.DvcException: if DVC is at work there, or dvc.yaml is not valid.
    """
    root = Path(repo.root_dir)
    with lock_repo(repo):
        changed = _restore_files(root)
    done = repo.checkout(targets=["dvc.yaml"], force=True, allow_missing=True)
    changed += [*done["added"], *done["modified"]]
    missing = [
        f"{out} of {stage_name(stage)}"
        for stage in repo.index.stages
        for out in stage.outs
        if stage.cmd and out.use_cache and out.status()
    ]
    if changed or missing:
        for file in (root / PAGE, *(root / PAGE).parent.glob("*.csv")):
            file.unlink(missing_ok=True)  # drawn of the outputs, and no output itself
    return changed, missing


def _restore_files(root: Path) -> list[str]:
    """Write HEAD's bytes over the files that have others. Returns their names."""
    names = git(root, "ls-tree", "-r", "--name-only", "HEAD", "--", *FILES).splitlines()
    before = {name: (root / name).read_bytes() for name in names if (root / name).is_file()}
    for name in before:  # after an experiment that was refused, Git takes the file for unchanged
        (root / name).touch()
    if names:
        tops = sorted({name.split("/")[0] for name in names})
        git(root, "restore", "--source=HEAD", "--staged", "--worktree", "--", *tops)
    return [name for name in names if before.get(name) != (root / name).read_bytes()]
