"""Everything to the remote, and everything from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo

from graft.sharing.git import cloned, list_commits
from graft.sharing.remote import AGAIN, Remote, ShareError, open_cache, reason, shorten, talking_to
from graft.sharing.store import DamagedError, Failed, Store, is_list, list_objects


@dataclass(frozen=True)
class Transferred:
    objects: int
    size: int  # bytes
    runs: int  # records of the run-cache


def push_everything(repo: Repo, remote: Remote, verify: bool) -> Transferred:
    """Push what the work tree and all commits name, and the run-cache; what is damaged there, once more.

    An object is pushed where the remote lacks it or has it in another size, and only if this cache's
    copy has the right md5. Directories' lists come last: a list that is there stands for a complete
    directory, and no `dvc push` would look at its files again.

    Args:
        repo: at its work tree.
        remote: of `repo`.
        verify: also read what is there in full, and push again what has another md5.

    Raises:
        ShareError: if something could not be pushed.
    """
    cache, store = open_cache(repo), remote.store
    outs = [list_objects(out, cache) for out in _outs_of_all_commits(repo)]
    sizes = cache.get_sizes({name for out in outs for name in out})
    here = {name: size for name, size in sizes.items() if size is not None}
    with talking_to(remote):
        there = store.get_sizes(sizes)
        todo = {name for name in here if there[name] != here[name]}
        todo |= store.find_damaged(here.keys() - todo) if verify else set()
        damaged = cache.find_damaged(todo)
        lost = damaged | {name for name in sizes if name not in here and there[name] is None}
        todo -= damaged | {name for out in outs if lost & out.keys() for name in out if is_list(name)}
        for lists in (False, True):
            names = sorted(name for name in todo if is_list(name) == lists)
            _raise_failed(remote, store.put(cache, names, "Pushing"), len(names))
        runs = _find_missing_runs(cache, store)
        _raise_failed(remote, store.put(cache, runs, "Pushing the run-cache"), len(runs))
    if damaged:
        places = [cache.place(name) for name in sorted(damaged)]
        raise ShareError(
            f"damaged in the local cache, so not pushed: {shorten(places)}; delete them there and "
            "`dvc repro` or `graft share pull`, then push again"
        )
    return Transferred(len(todo), sum(here[name] for name in todo), len(runs))


def pull_everything(repo: Repo, remote: Remote) -> Transferred:
    """Fetch what the work tree's dvc.lock and .dvc files name, and the run-cache, and check it out.

    Only what has the right md5 arrives.

    Raises:
        ShareError: if something is not on the remote, damaged there, or could not be fetched or checked out.
    """
    cache, store = open_cache(repo), remote.store
    with talking_to(remote):
        outs = cached_outs(repo)
        fetched: list[str] = []
        failed: Failed = {}
        for lists in (True, False):  # the lists say which files there are
            paths = {name: path for out in outs for name, path in list_objects(out, cache).items()}
            sizes = cache.get_sizes(name for name in paths if is_list(name) == lists)
            absent = [name for name, size in sizes.items() if size is None]
            failed |= cache.get(store, absent, "Fetching")
            fetched += [name for name in absent if name not in failed]
        runs = _find_missing_runs(store, cache)
        failed_runs = cache.get(store, runs, "Fetching the run-cache")
    try:
        repo.checkout(allow_missing=bool(failed))
    except DvcException as error:
        if not failed:
            raise ShareError(f"dvc checkout: {reason(error)}") from error
    if failed:
        _raise_incomplete(remote, failed, paths)
    _raise_failed(remote, failed_runs, len(runs))
    n_bytes = sum(size or 0 for size in cache.get_sizes(fetched).values())
    return Transferred(len(fetched), n_bytes, len(runs))


def cached_outs(repo: Repo) -> list[Output]:
    """The outputs that DVC keeps and dvc.lock or a .dvc file knows, at the revision `repo` is at."""
    return [
        out
        for stage in repo.index.stages
        for out in stage.outs
        if out.use_cache and out.can_push and out.hash_info and not stage.is_repo_import
    ]


def _outs_of_all_commits(repo: Repo) -> list[Output]:
    """The outputs of the work tree and of every commit, each content once.

    `dvc push --all-commits` would pass over the commits from before the remote was committed.
    """
    outs = {out.hash_info.value: out for out in cached_outs(repo)}
    with cloned(repo) as clone:
        for _ in clone.brancher(revs=list_commits(Path(repo.root_dir)), workspace=False):
            try:
                outs.update({out.hash_info.value: out for out in cached_outs(clone)})
            except DvcException:  # a commit of another time, which this DVC cannot read
                continue
    return [*outs.values()]


def _find_missing_runs(source: Store, target: Store) -> list[str]:
    """Name the intact records of the run-cache that `target` lacks, or has in another size."""
    runs = source.list_runs()
    here, there = source.get_sizes(runs), target.get_sizes(runs)
    missing = {name for name in runs if here[name] != there[name]}
    return sorted(missing - source.find_damaged(missing))


def _raise_failed(remote: Remote, failed: Failed, n: int) -> None:
    if failed:
        why = reason(next(iter(failed.values())))
        raise ShareError(f"{remote.describe()}: {len(failed):,} of {n:,} files failed: {why}; {AGAIN}")


def _raise_incomplete(remote: Remote, failed: Failed, paths: dict[str, str]) -> NoReturn:
    """Say what is lacking and whose it is to mend."""
    absent = [paths[name] for name, why in failed.items() if isinstance(why, FileNotFoundError)]
    damaged = [
        f"{paths[name]} (object {''.join(name.split('/')[2:])})"
        for name, why in failed.items()
        if isinstance(why, DamagedError)
    ]
    other = [why for why in failed.values() if not isinstance(why, FileNotFoundError | DamagedError)]
    said = [f"{remote.describe()}: what could be fetched is here; not these:"]
    if damaged:
        said.append(f"damaged on the remote: {shorten(damaged)}: whoever has it: `graft share push --verify`")
    if absent:
        said.append(f"not on the remote: {shorten(absent)}: whoever has it: `graft share push`")
    if other:
        said.append(f"{len(other):,} objects failed: {reason(other[0])}; run it again when that is mended")
    if damaged or absent:
        said.append("or compute it here: `dvc repro`")
    raise ShareError("\n".join(said))
