"""The proof: a fresh clone of HEAD, looked through for what it would still have to compute."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

from dvc.repo import Repo

from graft.sharing.git import cloned
from graft.sharing.remote import Remote, find_uncommitted, open_cache, shorten, talking_to
from graft.sharing.staleness import stage_name, stale_stages
from graft.sharing.store import Store, is_list, list_objects, object_name, read_list
from graft.sharing.transfer import cached_outs
from graft.utils.git import git

RESULTS = ["dvc.lock", "dvc.yaml", "params.yaml", "metrics", ".dvc/config", "*.dvc"]
Lack = tuple[str, str]  # a stage, and why a clone would run it


@dataclass(frozen=True)
class Proof:
    """Of one commit.

    Attributes:
        missing: what a clone of it lacks; none, and the commit is proven to be complete.
        advice: sentences on what the commit does not carry.
    """

    missing: list[Lack]
    advice: list[str]


def prove(repo: Repo, remote: Remote, verify: bool) -> Proof:
    """Clone HEAD to a temporary folder, and look there for what it lacks.

    Nothing but the commit and the remote is trusted: neither DVC's index of the remote nor the work tree.

    Args:
        repo: with a commit.
        remote: of `repo`.
        verify: read every object on the remote in full, and compute its md5.

    Raises:
        ShareError: if the remote does not answer.
    """
    with cloned(repo) as clone:
        uncommitted = find_uncommitted(remote, repo, clone)
        missing = [("dvc", uncommitted)] if uncommitted else []
        missing += [(stage, reason) for stage, why in stale_stages(clone).items() for reason in why]
        missing += _absent(clone, remote)
        with talking_to(remote):
            missing += _not_on_remote(clone, open_cache(repo), remote.store, verify)
    return Proof(missing, [*_advise(Path(repo.root_dir))])


def _absent(clone: Repo, remote: Remote) -> Iterator[Lack]:
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


def _not_on_remote(clone: Repo, cache: Store, store: Store, verify: bool) -> Iterator[Lack]:
    """Find outputs whose objects the remote lacks, or has damaged."""
    listed = [(out, list_objects(out, cache, store)) for out in cached_outs(clone)]
    names = {name for _, each in listed for name in each}
    there, expected = store.get_sizes(names), cache.get_sizes(names)
    for out, _ in listed:
        if not out.hash_info.isdir and out.meta.size is not None:
            expected[object_name(out.hash_info.value)] = out.meta.size
    unread = {name for name in names if is_list(name) and read_list(name, cache, store) is None}
    damaged = store.find_damaged(name for name in names if there[name] is not None) if verify else unread
    for out, each in listed:
        faults = [
            f"{path} {fault}"
            for name, path in each.items()
            if (fault := _find_fault(name, there[name], expected[name], damaged))
        ]
        if faults:
            yield stage_name(out.stage), shorten(faults)
    yield from _other_parts(clone, cache, store)


def _find_fault(name: str, size: int | None, expected: int | None, damaged: set[str]) -> str | None:
    digest = "".join(name.split("/")[2:])
    if size is None:
        return "is not on the remote"
    if expected not in (None, size):
        return f"is damaged on the remote: expected {expected:,} bytes, received {size:,} (object {digest})"
    return f"is damaged on the remote: its md5 is not {digest}" if name in damaged else None


def _other_parts(clone: Repo, *stores: Store) -> Iterator[Lack]:
    """Find dependencies that are part of a directory made elsewhere, and of another content there."""
    outs = [out for out in clone.index.outs if out.hash_info and out.hash_info.isdir]
    for stage in clone.index.stages:
        for dep in stage.deps if not stage.frozen else ():
            for out in outs:
                path = Path(dep.fs_path)
                if dep.hash_info and Path(out.fs_path) in path.parents:
                    files = read_list(object_name(out.hash_info.value), *stores)
                    inside = path.relative_to(out.fs_path).as_posix()
                    if files and _find_md5(files, inside) != dep.hash_info.value:
                        yield stage_name(stage), f"{dep} comes from a different run"


def _find_md5(files: dict[str, str], inside: str) -> str:
    """The md5 of a file in a directory, or of the list that DVC would make of a folder in it."""
    if inside in files:
        return files[inside]
    folder = f"{inside}/"
    part = {name.removeprefix(folder): digest for name, digest in files.items() if name.startswith(folder)}
    listed = [{"md5": part[name], "relpath": name} for name in sorted(part)]
    return f"{md5(json.dumps(listed, sort_keys=True).encode()).hexdigest()}.dir"


def _advise(root: Path) -> Iterator[str]:
    """Say what the commit does not carry, or the team cannot see yet."""
    if changed := git(root, "status", "--porcelain", "--", *RESULTS).splitlines():
        names = shorten([line[3:] for line in changed])
        yield f"a clone gets the last commit, without your changes of {names}: `git commit` them"
    if not git(root, "branch", "--remotes", "--contains", "HEAD").strip():
        yield "HEAD is on no branch of a Git remote: `git push`"
