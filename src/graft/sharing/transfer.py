"""Everything to the remote, and everything from it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo

from graft.sharing.git import cloned, list_commits
from graft.sharing.remote import AGAIN, ShareError, open_cache, reason, shorten, talking_to
from graft.sharing.store import DamagedError, Failed, Store, list_objects


def push_everything(repo: Repo, remote: Store, verify: bool) -> str:
    """Push what the work tree and all commits name, and the run-cache; what is damaged there, once more.

    An object is pushed where the remote lacks it or has it in another size, and only if this cache's
    copy has the right md5. Directories' lists come last: a list that is there stands for a complete
    directory, and no `dvc push` would look at its files again.

    Args:
        repo, remote: the work tree, and one of its remotes.
        verify: also read what is there in full, and push again what has another md5.

    Returns:
        How much was pushed, in words.

    Raises:
        ShareError: if something could not be pushed.
    """
    cache = open_cache(repo)
    outs = [{*list_objects(out, cache).values()} for out in _outs_of_all_commits(repo)]
    sizes = cache.get_sizes(set[str]().union(*outs))
    here = {name: size for name, size in sizes.items() if size is not None}
    with talking_to(remote):
        there = remote.get_sizes(sizes)
        todo = {name for name in here if there[name] != here[name]}
        todo |= remote.find_damaged(here.keys() - todo) if verify else set()
        damaged = cache.find_damaged(todo)
        lost = damaged | {name for name in sizes if name not in here and there[name] is None}
        todo -= damaged | {name for out in outs if lost & out for name in out if name.endswith(".dir")}
        runs = _find_missing_runs(cache, remote)
        lists = {name for name in todo if name.endswith(".dir")}
        for part in (sorted(todo - lists), sorted(lists), runs):
            _raise_failed(remote, remote.put(cache, part, "Pushing"), len(part))
    if damaged:
        places = [cache.place(name) for name in sorted(damaged)]
        raise ShareError(
            f"damaged in the local cache, so not pushed: {shorten(places)}; delete them there and "
            "`dvc repro` or `graft share pull`, then push again"
        )
    return _count((here[name] for name in todo), runs)


def pull_everything(repo: Repo, remote: Store) -> str:
    """Fetch what the work tree's dvc.lock and .dvc files name, and the run-cache, and check it out.

    Only what has the right md5 arrives.

    Returns:
        How much was fetched, in words.

    Raises:
        ShareError: if something is not on the remote, damaged there, or could not be fetched or checked out.
    """
    cache = open_cache(repo)
    fetched: list[str] = []
    failed: Failed = {}
    with talking_to(remote):
        for lists in (True, False):  # the lists say which files there are
            paths = {
                name: path for out in cached_outs(repo) for path, name in list_objects(out, cache).items()
            }
            sizes = cache.get_sizes(name for name in paths if name.endswith(".dir") == lists)
            absent = [name for name, size in sizes.items() if size is None]
            failed |= remote.get(cache, absent, "Fetching")
            fetched += [name for name in absent if name not in failed]
        runs = _find_missing_runs(remote, cache)
        failed_runs = remote.get(cache, runs, "Fetching the run-cache")
    try:
        repo.checkout(allow_missing=bool(failed))
    except DvcException as error:
        if not failed:
            raise ShareError(f"dvc checkout: {reason(error)}") from error
    if failed:
        _raise_incomplete(remote, failed, paths)
    _raise_failed(remote, failed_runs, len(runs))
    return _count(cache.get_sizes(fetched).values(), runs)


def cached_outs(repo: Repo) -> list[Output]:
    """The outputs that DVC keeps and dvc.lock or a .dvc file knows, at the revision `repo` is at."""
    return [
        out
        for stage in repo.index.stages
        for out in stage.outs
        if out.use_cache and out.can_push and out.hash_info and not stage.is_repo_import
    ]


def _outs_of_all_commits(repo: Repo) -> Iterable[Output]:
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
    return outs.values()


def _find_missing_runs(source: Store, target: Store) -> list[str]:
    """Name the intact records of the run-cache that `target` lacks, or has in another size."""
    runs = source.list_runs()
    here, there = source.get_sizes(runs), target.get_sizes(runs)
    missing = {name for name in runs if here[name] != there[name]}
    return sorted(missing - source.find_damaged(missing))


def _count(sizes: Iterable[int | None], runs: list[str]) -> str:
    known = [size or 0 for size in sizes]
    return f"{len(known):,} objects ({sum(known) / 1e6:,.1f} MB) and {len(runs):,} run-cache records"


def _raise_failed(remote: Store, failed: Failed, n: int) -> None:
    if failed:
        why = reason(next(iter(failed.values())))
        raise ShareError(f"{remote}: {len(failed):,} of {n:,} files failed: {why}; {AGAIN}")


def _raise_incomplete(remote: Store, failed: Failed, paths: dict[str, str]) -> NoReturn:
    """Say what is lacking and whose it is to mend."""
    said = [
        f"{paths[name]}, object {name[len('files/md5/') :].replace('/', '')}: {_explain(why)}"
        for name, why in failed.items()
    ]
    raise ShareError(
        f"{remote}: what could be fetched is here, but not {shorten(said)}; whoever has it runs "
        "`graft share push --verify`; or compute it here: `dvc repro`"
    )


def _explain(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "not on the remote"
    return "damaged on the remote" if isinstance(error, DamagedError) else reason(error)
