"""Garbage collection: the store's entries whose images are in no manifest of a branch or tag."""

import csv
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path, PurePosixPath
from time import time

from dvc.api import DVCFileSystem
from dvc.exceptions import NotDvcRepoError

from graft.config.paths import MANIFEST
from graft.features.index import INDEX
from graft.features.inventory import Cached, CachedFile
from graft.features.revisions import open_revision
from graft.utils.git import GitError, git

# Short name, and commit: of an annotated tag what it names.
REFS = ["--format=%(refname:lstrip=2) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"]
REFS += ["refs/heads", "refs/remotes", "refs/tags"]
LEFTOVER_SECONDS = 3600


@dataclass
class Needed:
    """The images that some revision needs.

    Attributes:
        keys: of all manifests.
        revisions: their names; those without a manifest need nothing.
        unreadable: revision -> why its manifest, which it tracks, could not be read.
    """

    keys: set[str] = field(default_factory=set)
    revisions: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def needed_images(repo: Path) -> Needed:
    """Read the manifest of the work tree, of HEAD, and of every local and remote-tracking branch and tag.

    Manifests come from the local DVC cache, else from the DVC remote; several names of one commit,
    and commits with one manifest, are read once.

    Raises:
        GitError: if there is no Git repository.
        FileNotFoundError: if there is no DVC repository.
    """
    if not (repo / ".dvc").is_dir():
        raise FileNotFoundError("it has no folder .dvc")
    needed = Needed()
    seen: set[str] = set()
    for commit, names in _revisions(repo).items():
        needed.revisions += names
        try:
            needed.keys |= _images(repo, commit, seen)
        except Exception as error:  # of Git, of DVC, of any kind of remote, or of a damaged file
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            needed.unreadable[", ".join(names)] = reason[:200]
    return needed


def _revisions(repo: Path) -> dict[str | None, list[str]]:
    """Map the work tree (None) and each commit to the names that lead to it."""
    names: dict[str | None, list[str]] = defaultdict(list, {None: ["work tree"]})
    listed = git(repo, "for-each-ref", *REFS).splitlines()
    with suppress(GitError):  # no commit yet
        listed.insert(0, f"HEAD {git(repo, 'rev-parse', '--verify', 'HEAD').strip()}")
    for line in listed:
        name, commit = line.split(" ")
        names[commit].append(name)
    return names


def _images(repo: Path, commit: str | None, seen: set[str]) -> set[str]:
    """Read the keys of a revision's manifest; none where it made none, or one that is among `seen`."""
    keys = None
    with suppress(NotDvcRepoError), open_revision(repo, commit) as files:
        keys = _read_keys(files, seen)
    if keys is None and commit:
        _check_absence(repo, commit)
    return keys or set()


def _check_absence(repo: Path, commit: str) -> None:
    """Raise a FileNotFoundError if a dvc.lock of the commit names a manifest, here or elsewhere."""
    locks, here = _locks(repo, commit), git(repo, "rev-parse", "--show-prefix").removesuffix("\n")
    if f"{here}dvc.lock" in locks:
        raise FileNotFoundError("dvc.lock names it, but DVC does not find it")
    if moved := locks - _locks(repo, "HEAD"):
        raise FileNotFoundError(f"it is not in this folder; was the project moved from {min(moved)}?")


def _locks(repo: Path, commit: str) -> set[str]:
    """List the dvc.lock files of a commit, anywhere in the Git repository, that name a manifest."""
    files = git(repo, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0")
    locks = [file for file in files if PurePosixPath(file).name == "dvc.lock"]
    return {
        file for file in locks if f"path: {MANIFEST.as_posix()}\n" in git(repo, "show", f"{commit}:{file}")
    }


def _read_keys(files: DVCFileSystem, seen: set[str]) -> set[str] | None:
    path = f"/{MANIFEST.as_posix()}"
    try:
        info = files.info(path)
    except FileNotFoundError:
        return None
    md5 = info.get("md5")
    if md5 is None and "fs_info" not in info:  # in dvc.yaml, but never made
        return None
    if md5 in seen:
        return set()
    rows = csv.DictReader(StringIO(files.read_text(path, encoding="utf-8"), newline=""))
    keys = {row["key"] for row in rows}
    seen |= {md5} - {None}
    return keys


def unneeded(store: Sequence[Cached], keys: set[str]) -> list[Cached]:
    """Select the entries of each fingerprint that hold no image of `keys`, or are damaged."""
    return _select(store, lambda _, file: keys.isdisjoint(key for key, _ in file.rows))


def brought(store: Sequence[Cached], commits: Sequence[str]) -> list[Cached]:
    """Select the entries of each fingerprint that commits brought: those of these first digits; none: all."""

    def chosen(cached: Cached, file: CachedFile) -> bool:
        commit = cached.origin_of(file)
        return bool(commit and commit.startswith(tuple(commits) or ""))

    return _select(store, chosen)


def _select(store: Sequence[Cached], chosen: Callable[[Cached, CachedFile], bool]) -> list[Cached]:
    found = [Cached(each.folder, [file for file in each.files if chosen(each, file)]) for each in store]
    return [cached for cached in found if cached.files]


def leftovers(root: Path) -> list[CachedFile]:
    """List the temporary files of killed runs: one that runs never leaves its files unchanged for an hour."""
    files = []
    for place in sorted(root.glob("*/*.tmp")):
        with suppress(FileNotFoundError):  # a process at work has just renamed it
            stats = [each.stat() for each in (place, *place.rglob("*"))]
            if time() - max(stat.st_mtime for stat in stats) > LEFTOVER_SECONDS:
                files.append(CachedFile(place, sum(stat.st_size for stat in stats), []))
    return files


def drop(files: Sequence[CachedFile]) -> None:
    """Remove files of the store, and the folders of commits and fingerprints that hold nothing else."""
    for file in files:
        if file.path.is_dir():
            shutil.rmtree(file.path, ignore_errors=True)
        else:
            file.path.unlink(missing_ok=True)
    for folder in sorted({folder for file in files for folder in file.path.parents[:2]}, reverse=True):
        if {each.name for each in folder.iterdir()} <= {"fingerprint.json", INDEX}:
            shutil.rmtree(folder)
