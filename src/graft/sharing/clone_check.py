"""The proof: a fresh clone of HEAD, looked through for what it would still have to compute."""

from collections.abc import Iterator
from pathlib import Path

from dvc.repo import Repo

from graft.sharing.git import cloned
from graft.sharing.remote import find_uncommitted, open_cache, shorten, talking_to
from graft.sharing.staleness import stage_name, stale_stages
from graft.sharing.store import Store, list_objects, object_name
from graft.sharing.transfer import cached_outs
from graft.utils.git import git

RESULTS = ["dvc.lock", "dvc.yaml", "params.yaml", "metrics", ".dvc/config", "*.dvc"]
Lack = tuple[str, str]  # a stage, and why a clone would run it


def prove(repo: Repo, remote: Store, verify: bool) -> list[Lack]:
    """Clone HEAD to a temporary folder, and look there for what it lacks.

    Nothing but the commit and the remote is trusted: neither DVC's index of the remote nor the work tree.

    Args:
        repo: with a commit.
        remote: of `repo`.
        verify: read every object on the remote in full, and compute its md5.

    Returns:
        What a clone lacks; nothing, and HEAD is proven to be complete.

    Raises:
        ShareError: if the remote does not answer.
    """
    with cloned(repo) as clone:
        uncommitted = find_uncommitted(remote, repo, clone)
        missing = [("dvc", uncommitted)] if uncommitted else []
        missing += [(stage, reason) for stage, why in stale_stages(clone).items() for reason in why]
        missing += _absent(clone, remote)
        with talking_to(remote):
            return [*missing, *_not_on_remote(clone, open_cache(repo), remote, verify)]


def _absent(clone: Repo, remote: Store) -> Iterator[Lack]:
    """Find what neither Git nor DVC brings to a clone."""
    brought = [Path(str(out.fs_path)) for stage in clone.index.stages for out in stage.outs]
    for stage in clone.index.stages:
        for dep in stage.deps:
            path = Path(str(dep.fs_path))
            known = any(path == out or out in path.parents or path in out.parents for out in brought)
            if dep.is_in_repo and not known and not dep.exists:
                yield stage_name(stage), f"{dep} is neither in Git nor in DVC: `dvc add {dep}`"
        for out in stage.outs:
            if out.use_cache and not out.can_push:
                yield stage_name(stage), f"{out} has `push: false`"
            elif out.use_cache and out.remote not in (None, remote.name):
                yield stage_name(stage), f"{out} is of the remote {out.remote!r}, not {remote.name!r}"
            elif stage.is_partial_import:
                yield stage_name(stage), f"{out} is not downloaded: `dvc update`"
            if not out.use_cache and not out.exists:
                yield stage_name(stage), f"{out} is not committed to Git"


def _not_on_remote(clone: Repo, cache: Store, remote: Store, verify: bool) -> Iterator[Lack]:
    """Find outputs whose objects the remote lacks, or has damaged."""
    listed = [(out, list_objects(out, cache, remote)) for out in cached_outs(clone)]
    names = {name for _, objects in listed for name in objects.values()}
    there, expected = remote.get_sizes(names), cache.get_sizes(names)
    unread = set[str]()  # lists that neither the cache nor the remote has intact, or of an empty directory
    for out, objects in listed:
        if out.hash_info.isdir:
            unread |= {*objects.values()} if len(objects) == 1 else set()
        elif out.meta.size is not None:
            expected[objects[str(out)]] = out.meta.size
    present = {name for name in (names if verify else unread) if there[name] is not None}
    damaged = remote.find_damaged(present)
    for out, objects in listed:
        faults = [
            f"{path} {fault}"
            for path, name in objects.items()
            if (fault := _find_fault(name, there[name], expected[name], damaged))
        ]
        if faults:
            yield stage_name(out.stage), shorten(faults)
    made = {path: name for out, objects in listed if out.hash_info.isdir for path, name in objects.items()}
    for stage in clone.index.stages:
        for dep in stage.deps if not stage.frozen else ():
            part = made.get(str(dep))
            if part and dep.hash_info and object_name(dep.hash_info.value) != part:
                yield stage_name(stage), f"{dep} comes from a different run"


def _find_fault(name: str, size: int | None, expected: int | None, damaged: set[str]) -> str | None:
    digest = "".join(name.split("/")[2:])
    if size is None:
        return "is not on the remote"
    if expected not in (None, size):
        return f"is damaged on the remote: expected {expected:,} bytes, received {size:,} (object {digest})"
    return f"is damaged on the remote: its md5 is not {digest}" if name in damaged else None


def advise(root: Path) -> Iterator[str]:
    """Say what the commit does not carry, or the team cannot see yet."""
    if changed := git(root, "status", "--porcelain", "--", *RESULTS).splitlines():
        names = shorten([line[3:] for line in changed])
        yield f"a clone gets the last commit, without your changes of {names}: `git commit` them"
    if not git(root, "branch", "--remotes", "--contains", "HEAD").strip():
        yield "HEAD is on no branch of a Git remote: `git push`"
