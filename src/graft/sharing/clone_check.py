"""What a fresh clone of HEAD would still have to compute, found out in one."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dvc.config import Config
from dvc.data_cloud import Remote
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB

from graft.sharing.git import git
from graft.sharing.objects import cached_outs, find_wrong_md5, list_objects, read_tree, sizes_of
from graft.sharing.remote import find_uncommitted, shorten, talking_to
from graft.sharing.staleness import stage_name, stale_stages

RESULTS = ["dvc.lock", "dvc.yaml", "params.yaml", "metrics", ".dvc/config", "*.dvc"]


@dataclass(frozen=True)
class Proof:
    """Of one commit: `missing`, (stage, reason) for whatever a clone lacks; `advice` besides."""

    missing: list[tuple[str, str]]
    advice: list[str]


def prove(repo: Repo, remote: Remote, name: str | None, verify: bool) -> Proof:
    """Clone HEAD to a temporary folder, and look there for what it lacks.

    Nothing but the commit and the remote is trusted: neither DVC's index of the remote nor the work tree.

    Args:
        repo: with a commit.
        remote: of `repo`.
        name: the remote's name where it is not the default one.
        verify: read every object on the remote in full, and compute its md5.

    Raises:
        ShareError: if the remote does not answer.
    """
    with TemporaryDirectory(prefix="graft-share-") as folder:
        clone = _clone(Path(repo.scm.root_dir).resolve(), Path(repo.root_dir).resolve(), Path(folder))
        uncommitted = find_uncommitted(clone / ".dvc", Path(repo.dvc_dir), remote.name, name is None)
        missing = [("dvc", uncommitted)] if uncommitted else []
        missing += [(stage, reason) for stage, why in stale_stages(clone).items() for reason in why]
        with Repo(str(clone)) as fresh, talking_to(remote):
            missing += _absent(fresh, remote)
            missing += _not_on_remote(fresh, repo, remote, verify)
    return Proof(missing, [*_advise(Path(repo.root_dir))])


def _clone(git_root: Path, root: Path, folder: Path) -> Path:
    """A clone of HEAD with the credentials of `root`, whose caches are its own."""
    git(git_root, "clone", "--quiet", "--shared", str(git_root), str(folder / "clone"))
    clone = folder / "clone" / root.relative_to(git_root)
    local = root / ".dvc/config.local"
    if local.exists():
        shutil.copy(local, clone / ".dvc/config.local")
    with Config(str(clone / ".dvc")).edit("local") as config:
        config["core"]["site_cache_dir"] = str(folder / "site")
        config["cache"]["dir"] = str(folder / "cache")
    return clone


def _absent(fresh: Repo, remote: Remote) -> Iterator[tuple[str, str]]:
    """What neither Git nor DVC brings to a clone."""
    brought = [Path(str(out.fs_path)) for stage in fresh.index.stages for out in stage.outs]
    for stage in fresh.index.stages:
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


def _not_on_remote(fresh: Repo, repo: Repo, remote: Remote, verify: bool) -> Iterator[tuple[str, str]]:
    """Outputs whose objects the remote lacks, or has damaged."""
    cache, odb = repo.cache.local, remote.odb
    listed = [(out, list_objects(out, cache, odb)) for out in cached_outs(fresh)]
    objects = {md5 for _, each in listed for md5 in each}
    there, expected = sizes_of(odb, objects), sizes_of(cache, objects)
    for out, _ in listed:
        if not out.hash_info.isdir and out.meta.size is not None:
            expected[out.hash_info.value] = out.meta.size
    wrong = find_wrong_md5(odb, (md5 for md5 in objects if there[md5] is not None)) if verify else set()
    for out, each in listed:
        faults = [
            f"{path} {fault}"
            for md5, path in each.items()
            if (fault := _find_fault(md5, there[md5], expected[md5], wrong))
        ]
        if not faults and out.hash_info.isdir and read_tree(out.hash_info, cache, odb) is None:
            faults = [f"{out} is damaged on the remote: {out.hash_info.value} is no list of files"]
        if faults:
            yield stage_name(out.stage), shorten(faults)
    yield from _other_parts(fresh, cache, odb)


def _other_parts(fresh: Repo, *odbs: HashFileDB) -> Iterator[tuple[str, str]]:
    """Dependencies that are part of a directory made elsewhere, and of another content there."""
    outs = [out for out in fresh.index.outs if out.hash_info and out.hash_info.isdir]
    for stage in fresh.index.stages:
        for dep in stage.deps if not stage.frozen else ():
            for out in outs:
                inside = dep.fs_path.startswith(out.fs_path + os.sep)
                if inside and dep.hash_info and (tree := read_tree(out.hash_info, *odbs)) is not None:
                    key: Any = Path(dep.fs_path).relative_to(out.fs_path).parts
                    part = tree.get_obj(odbs[0], key)
                    if part is None or part.hash_info != dep.hash_info:
                        yield stage_name(stage), f"{dep} made anew since"


def _find_fault(md5: str, size: int | None, expected: int | None, wrong: set[str]) -> str | None:
    if size is None:
        return "is not on the remote"
    if expected not in (None, size):
        return f"is damaged on the remote: expected {expected:,} bytes, received {size:,} (object {md5})"
    return f"is damaged on the remote: its md5 is not {md5}" if md5 in wrong else None


def _advise(root: Path) -> Iterator[str]:
    """What the commit does not carry, or the team cannot see yet."""
    if changed := git(root, "status", "--porcelain", "--", *RESULTS).splitlines():
        names = shorten([line[3:] for line in changed])
        yield f"a clone gets the last commit, without your changes of {names}: `git commit` them"
    if not git(root, "branch", "--remotes", "--contains", "HEAD").strip():
        yield "HEAD is on no branch of a Git remote: `git push`"
