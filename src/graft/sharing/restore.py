"""The way back: parameters, lock, metrics and outputs as the last commit has them."""

from pathlib import Path

from dvc.output import Output
from dvc.repo import Repo, lock_repo

from graft.config.paths import PAGE
from graft.sharing.staleness import stage_name
from graft.utils.git import git

FILES = ["params.yaml", "dvc.lock", "metrics"]
AGAIN, LEFT = "as committed again", "not touched, and not as committed"
ABSENT, UNWRITTEN = "not in the cache", "cannot be written here (is the disk full?)"


def restore(repo: Repo) -> dict[str, list[str]]:
    """Return params.yaml, dvc.lock, metrics and the outputs of dvc.yaml to HEAD's.

    Nothing is computed or fetched. Code, dvc.yaml, what `dvc add` keeps and what HEAD lacks are not touched.

    Returns ``AGAIN``, ``LEFT``, ``ABSENT``, ``UNWRITTEN`` -> files of Git's, and "output of stage". Raises a
    GitError without a commit, a DvcException if DVC is at work there, or dvc.yaml is not valid.
    """
    root = Path(repo.root_dir)
    with lock_repo(repo):
        done = {AGAIN: _restore_files(root), LEFT: _list(root, "diff", "--relative", "HEAD")}
        stages = repo.stage.load_all(str(root / "dvc.yaml"))
        outs = {f"{out} of {stage_name(each)}": out for each in stages for out in each.outs if out.use_cache}
        done[LEFT] += [name for name, out in outs.items() if out.exists and not out.hash_info]
        wrong = {name: out for name, out in outs.items() if out.hash_info and _differs(out)}
        absent = [name for name, out in wrong.items() if out.changed_cache()]
        for path in (Path(out.fs_path) for out in wrong.values()):
            if path.is_symlink() and not path.is_file():  # DVC would write, and delete, where it leads
                path.unlink()
        if wrong:  # of an output that is right already, DVC deletes what the cache lacks
            repo.checkout([out.fs_path for out in wrong.values()], force=True, allow_missing=True)
        failed = [name for name, out in wrong.items() if _differs(out)]
    done[AGAIN] += [name for name in wrong if name not in failed]
    done[ABSENT] = [name for name in failed if name in absent]
    done[UNWRITTEN] = [name for name in failed if name not in absent]
    if done[AGAIN] or failed:
        (root / PAGE).unlink(missing_ok=True)  # drawn of the outputs, and no output itself
    return done


def _differs(out: Output) -> bool:
    try:
        return bool(out.workspace_status())
    except OSError:  # a link in it leads nowhere
        return True


def _restore_files(root: Path) -> list[str]:
    """Write HEAD's bytes over the files that have others. Returns their names."""
    names = _list(root, "ls-tree", "-r", "HEAD", "--", *FILES)
    for path in (root / name for name in names if (root / name).is_file()):
        path.touch()  # after an experiment that was refused, Git takes the file for unchanged
    changed = _list(root, "diff", "--relative", "HEAD", "--", *names) if names else []
    if changed:
        git(root, "restore", "--source=HEAD", "--staged", "--worktree", "--", *changed)
    return changed


def _list(root: Path, command: str, *arguments: str) -> list[str]:
    return git(root, command, "-z", "--name-only", *arguments).split("\0")[:-1]
