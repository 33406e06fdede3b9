"""The objects of a repository's outputs: which there are, how large, and copied between two places.

DVC's own transfer takes a directory for complete where its `.dir` object exists, and an object for intact
where a file of its name does; an upload over SSH that was cut leaves such a file. So every object is
looked at here, by its size.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import Repo
from dvc.utils import dict_sha256
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from dvc_data.callbacks import TqdmCallback
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError
from dvc_objects.executors import ThreadPoolExecutor
from dvc_objects.fs import generic
from dvc_objects.fs.base import FileSystem

from graft.sharing.git import list_commits

T = TypeVar("T")


def cached_outs(repo: Repo) -> list[Output]:
    """The outputs that DVC keeps and dvc.lock or a .dvc file knows, at the revision `repo` is at."""
    return [
        out
        for stage in repo.index.stages
        for out in stage.outs
        if out.use_cache and out.can_push and out.hash_info and not stage.is_repo_import
    ]


def list_objects(out: Output, *odbs: HashFileDB) -> dict[str, str]:
    """md5 -> path of an output's objects, its `.dir` object included.

    Of a directory whose list is in none of `odbs` only the `.dir` object is known.
    """
    md5, path = out.hash_info.value, str(out)
    found = {md5: path}
    if out.hash_info.isdir:
        for key, _, hash_info in read_tree(out.hash_info, *odbs) or ():
            found[hash_info.value] = PurePosixPath(path, *key).as_posix()
    return found


def read_tree(hash_info: HashInfo, *odbs: HashFileDB) -> Tree | None:
    for odb in odbs:
        try:
            tree = Tree.load(odb, hash_info)
            md5 = file_md5(odb.oid_to_path(hash_info.value), odb.fs)
        except FileNotFoundError:
            continue
        except (ObjectFormatError, LookupError, TypeError, AttributeError, ValueError):
            continue  # JSON, but no list of files
        if md5 == str(hash_info.value).removesuffix(".dir"):
            return tree
    return None


def all_objects(repo: Repo) -> list[dict[str, str]]:
    """Of every output of the work tree or any commit its objects, as far as the cache has the lists.

    `dvc push --all-commits` would pass over the commits from before the remote was committed.
    """
    outs, config = {}, repo.config
    for rev in repo.brancher(revs=list_commits(Path(repo.root_dir))):
        # Not the commit's own: from before the remote, it has no address to the credentials of config.local.
        repo.__dict__["config"] = config
        try:
            outs.update({out.hash_info.value: out for out in cached_outs(repo)})
        except DvcException:  # a commit of another time, which this DVC cannot read
            if rev in ("workspace", ""):
                raise
    cache = repo.cache.local
    return [list_objects(out, cache) for out in outs.values()]


def get_sizes(fs: FileSystem, paths: Sequence[str]) -> list[int | None]:
    """Bytes of each file, None where there is none."""

    def size(path: str) -> int | None:
        try:
            return int(fs.info(path)["size"])
        except FileNotFoundError:
            return None

    return _in_parallel(fs, size, paths)


def sizes_of(odb: HashFileDB, objects: Iterable[str]) -> dict[str, int | None]:
    """md5 -> bytes, None where `odb` has no such object."""
    objects = list(objects)
    return dict(zip(objects, get_sizes(odb.fs, [odb.oid_to_path(md5) for md5 in objects]), strict=True))


def find_wrong_md5(odb: HashFileDB, objects: Iterable[str]) -> set[str]:
    """The objects whose bytes, read in full, are not what their name says."""
    objects = list(objects)
    received = _in_parallel(odb.fs, lambda md5: file_md5(odb.oid_to_path(md5), odb.fs), objects)
    return {md5 for md5, found in zip(objects, received, strict=True) if found != md5.removesuffix(".dir")}


def copy_objects(
    source: HashFileDB, target: HashFileDB, objects: Iterable[str], what: str
) -> dict[str, BaseException]:
    """Copy objects over what `target` has of them, directories' lists last.

    So a `.dir` object that is there stands for a complete directory, which DVC relies on.

    Args:
        source: cache or remote.
        target: remote or cache.
        objects: md5s.
        what: name of the progress bar.

    Returns:
        md5 -> why it was not copied.
    """
    objects = list(objects)
    files = [md5 for md5 in objects if not md5.endswith(".dir")]
    failed = _copy(source, target, files, what)
    lists = [md5 for md5 in objects if md5.endswith(".dir")]
    if failed:
        why = next(iter(failed.values()))
        return failed | dict.fromkeys(lists, why)
    return _copy(source, target, lists, what)


def _copy(
    source: HashFileDB, target: HashFileDB, objects: Sequence[str], what: str
) -> dict[str, BaseException]:
    paths = [source.oid_to_path(md5) for md5 in objects]
    failed = copy_files(source.fs, paths, target.fs, [target.oid_to_path(md5) for md5 in objects], what)
    return {md5: failed[path] for md5, path in zip(objects, paths, strict=True) if path in failed}


def copy_files(
    from_fs: FileSystem, sources: Sequence[str], to_fs: FileSystem, targets: Sequence[str], what: str
) -> dict[str, BaseException]:
    """Copy files, several at a time. Returns: source -> why it was not copied."""
    failed: dict[str, BaseException] = {}
    jobs = from_fs.jobs if to_fs.protocol == "local" else to_fs.jobs
    if not sources:
        return failed
    try:
        with TqdmCallback(desc=what, unit="file") as callback:
            callback.set_size(len(sources))
            generic.copy(
                from_fs,
                [*sources],
                to_fs,
                [*targets],
                callback,
                jobs,
                lambda path, _, why: failed.update({path: why}),
            )
    except Exception as error:  # of any kind of remote
        failed = dict.fromkeys(sources, error) | failed
    return failed


def copy_runs(source: HashFileDB, target: HashFileDB, what: str) -> tuple[int, dict[str, BaseException]]:
    """Copy the intact records of the run-cache that `target` lacks, or has of another size.

    Args:
        source: the odb beside which DVC keeps the run-cache, its legacy one.
        target: as well.
        what: name of the progress bar.

    Returns:
        How many were to be copied, and path -> why it was not.
    """
    runs = source.fs.join(source.path, "runs")
    paths = list(source.fs.find(runs)) if source.fs.exists(runs) else []
    targets = [target.fs.join(target.path, *source.fs.relparts(path, source.path)) for path in paths]
    sizes = zip(get_sizes(source.fs, paths), get_sizes(target.fs, targets), strict=True)
    todo = [
        i for i, (here, there) in enumerate(sizes) if here != there and _is_intact_run(source.fs, paths[i])
    ]
    failed = copy_files(source.fs, [paths[i] for i in todo], target.fs, [targets[i] for i in todo], what)
    return len(todo), failed


def _is_intact_run(fs: FileSystem, path: str) -> bool:
    """Whether a record of the run-cache is what its name, a hash of it, says."""
    try:
        record = parse_yaml(fs.cat_file(path).decode(), path)
        return bool(dict_sha256(record, exclude=[Meta.PARAM_SIZE, Meta.PARAM_NFILES]) == fs.name(path))
    except (YAMLFileCorruptedError, TypeError, AttributeError, UnicodeDecodeError):
        return False


def _in_parallel(fs: FileSystem, function: Callable[[str], T], items: Iterable[str]) -> list[T]:
    with ThreadPoolExecutor(fs.jobs, cancel_on_error=True) as executor:
        return list(executor.map(function, items))
