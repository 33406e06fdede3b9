"""The way back: parameters, lock, metrics and outputs as the last commit has them."""

from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo, lock_repo

from graft.sharing.staleness import stage_name
from graft.utils.git import git

FILES = ["params.yaml", "dvc.lock", "metrics"]
PAGE = "reports/index.html"  # drawn of the outputs, and no output itself


@dataclass(frozen=True)
class Restored:
    """The result of going back.

    Attributes:
        files: of Git's, that are HEAD's again.
        outputs: of DVC's, that are HEAD's again.
        missing: output -> its stage; those that the cache lacks.
        left: files that differ from HEAD still, since they are a person's work.
    """

    files: list[str]
    outputs: list[str]
    missing: dict[str, str]
    left: list[str]


def restore(repo: Repo) -> Restored:
    """Return params.yaml, dvc.lock, metrics and the outputs of dvc.yaml to HEAD's.

    Nothing is computed or fetched, and neither code, dvc.yaml nor what `dvc add` keeps is touched.

    Args:
        repo: with a commit.

    Raises:
        GitError: without a commit.
        dvc.exceptions.DvcException: if DVC is at work there, or dvc.yaml is not valid.
    """
    root = Path(repo.root_dir)
    with lock_repo(repo):
        files = _restore_files(root)
    with lock_repo(repo):
        changes = repo.checkout(targets=["dvc.yaml"], force=True, allow_missing=True)
        outputs = [out for kind in ("added", "modified") for out in changes[kind]]
        missing = {
            str(out): stage_name(stage)
            for stage in repo.index.stages
            for out in stage.outs
            if stage.cmd and out.use_cache and out.status()
        }
    if files or outputs or missing:
        (root / PAGE).unlink(missing_ok=True)
    left = git(root, "diff", "--name-only", "--relative", "HEAD").splitlines()
    return Restored(files, outputs, missing, left)


def _restore_files(root: Path) -> list[str]:
    """Write HEAD's bytes over the files that have others. Returns their names."""
    committed = _list_blobs(root, "ls-tree", "-r", "HEAD", "--", *FILES)
    staged = _list_blobs(root, "ls-files", "--stage", "--", *FILES)
    names = sorted({*committed, *staged})
    there = [name for name in names if (root / name).is_file()]
    hashed = git(root, "hash-object", *there).split() if there else []
    present = dict(zip(there, hashed, strict=True))
    changed = [name for name in names if not committed.get(name) == staged.get(name) == present.get(name)]
    for name in changed:  # after an experiment that was refused, Git takes the file for unchanged
        (root / name).unlink(missing_ok=True)
    if changed:
        git(root, "restore", "--source=HEAD", "--staged", "--worktree", "--", *changed)
    return changed


def _list_blobs(root: Path, *command: str) -> dict[str, str]:
    """Name -> the hash of Git's object, out of its lines `mode [type] hash [stage]<TAB>name`."""
    pairs = (line.split("\t") for line in git(root, *command).splitlines())
    return {name: next(word for word in fields.split() if len(word) >= 40) for fields, name in pairs}
