"""Everything to the remote, and everything from it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from dvc.data_cloud import Remote
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.errors import ObjectFormatError

from graft.sharing.objects import (
    all_objects,
    cached_outs,
    copy_objects,
    copy_runs,
    find_wrong_md5,
    list_objects,
    sizes_of,
)
from graft.sharing.remote import AGAIN, ShareError, describe, reason, shorten, talking_to


@dataclass(frozen=True)
class Transferred:
    objects: int
    size: int  # bytes
    runs: int  # records of the run-cache


def push_everything(repo: Repo, remote: Remote, verify: bool) -> Transferred:
    """Push what the work tree and all commits name, and the run-cache; what is damaged there, once more.

    An object is pushed where the remote lacks it or has it of another size, and only if this cache's
    copy has the right md5.

    Args:
        repo: at its work tree.
        remote: of `repo`.
        verify: also read what is there in full, and push anew what has another md5.

    Raises:
        ShareError: if something could not be pushed.
    """
    cache, odb = repo.cache.local, remote.odb
    outs = all_objects(repo)
    sizes = sizes_of(cache, {md5 for out in outs for md5 in out})
    here = {md5: size for md5, size in sizes.items() if size is not None}
    with talking_to(remote):
        there = sizes_of(odb, sizes)
        todo = {md5 for md5 in here if there[md5] != here[md5]}
        todo |= find_wrong_md5(odb, here.keys() - todo) if verify else set()
        damaged = find_wrong_md5(cache, todo)
        lost = damaged | {md5 for md5 in sizes if md5 not in here and there[md5] is None}
        # A list on the remote stands for a complete directory: no `dvc push` would look at its files again.
        todo -= damaged | {md5 for out in outs if lost & out.keys() for md5 in out if md5.endswith(".dir")}
        failed = copy_objects(cache, odb, sorted(todo), "Pushing")
        _raise_failed(remote, failed, len(todo))
        for md5 in todo:
            odb.protect(odb.oid_to_path(md5))
        runs, failed = copy_runs(repo.cache.legacy, remote.legacy_odb, "Pushing the run-cache")
        _raise_failed(remote, failed, runs)
    if damaged:
        _raise_damaged_cache(cache, damaged)
    return Transferred(len(todo), sum(here[md5] for md5 in todo), runs)


def pull_everything(repo: Repo, remote: Remote) -> Transferred:
    """Fetch what the work tree's dvc.lock and .dvc files name, and the run-cache, and check it out.

    Every object that was fetched is verified, and kept only if it has the right md5.

    Raises:
        ShareError: if something is not on the remote, damaged there, or could not be fetched or checked out.
    """
    cache = repo.cache.local
    with talking_to(remote):
        outs = cached_outs(repo)
        lists = {out.hash_info.value: str(out) for out in outs if out.hash_info.isdir}
        absent, failed = _fetch(repo, remote, lists)
        objects = {md5: path for out in outs for md5, path in list_objects(out, cache).items()}
        more, failed_more = _fetch(repo, remote, {m: p for m, p in objects.items() if m not in lists})
        runs, failed_runs = copy_runs(remote.legacy_odb, repo.cache.legacy, "Fetching the run-cache")
    failed |= failed_more
    fetched = sizes_of(cache, [md5 for md5 in (*absent, *more) if md5 not in failed])
    try:
        repo.checkout(allow_missing=bool(failed))
    except DvcException as error:
        if not failed:
            raise ShareError(f"dvc checkout: {reason(error)}") from error
    if failed:
        _raise_incomplete(remote, failed, lists | objects)
    _raise_failed(remote, failed_runs, runs)
    return Transferred(len(fetched), sum(size or 0 for size in fetched.values()), runs)


def _fetch(repo: Repo, remote: Remote, objects: Iterable[str]) -> tuple[list[str], dict[str, BaseException]]:
    """Fetch the objects that the cache lacks. Returns: those, and md5 -> why it is not in the cache now."""
    cache = repo.cache.local
    objects = list(objects)
    here = set(cache.oids_exist(objects))
    absent = [md5 for md5 in objects if md5 not in here]
    failed = copy_objects(remote.odb, cache, absent, "Fetching")
    for md5 in absent:
        if md5 not in failed:
            try:
                cache.check(md5)  # removes what has another md5
            except (ObjectFormatError, FileNotFoundError) as error:
                failed[md5] = error
    return absent, failed


def _raise_failed(remote: Remote, failed: dict[str, BaseException], n: int) -> None:
    if failed:
        why = reason(next(iter(failed.values())))
        raise ShareError(f"{describe(remote)}: {len(failed):,} of {n:,} files failed: {why}; {AGAIN}")


def _raise_damaged_cache(cache: HashFileDB, damaged: set[str]) -> NoReturn:
    paths = [cache.oid_to_path(md5) for md5 in sorted(damaged)]
    raise ShareError(
        f"damaged in the local cache, so not pushed: {shorten(paths)}; delete them there and `dvc repro` or "
        "`graft share pull`, then push again"
    )


def _raise_incomplete(remote: Remote, failed: dict[str, BaseException], paths: dict[str, str]) -> NoReturn:
    """Say what is lacking and whose it is to mend."""
    absent = [paths[md5] for md5, why in failed.items() if isinstance(why, FileNotFoundError)]
    damaged = [
        f"{paths[md5]} (object {md5})" for md5, why in failed.items() if isinstance(why, ObjectFormatError)
    ]
    other = [why for why in failed.values() if not isinstance(why, FileNotFoundError | ObjectFormatError)]
    said = [f"{describe(remote)}: what could be fetched is here; not these:"]
    if damaged:
        said.append(f"damaged on the remote: {shorten(damaged)}: whoever has it: `graft share push --verify`")
    if absent:
        said.append(f"not on the remote: {shorten(absent)}: whoever has it: `graft share push`")
    if other:
        said.append(f"{len(other):,} objects failed: {reason(other[0])}; run it again when that is mended")
    if damaged or absent:
        said.append("or compute it here: `dvc repro`")
    raise ShareError("\n".join(said))
