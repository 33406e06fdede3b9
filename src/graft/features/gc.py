"""Garbage collection: the store's entries whose images are in no manifest of a branch or tag."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from time import time

from graft.config.paths import MANIFEST
from graft.features.from_commits import open_revision
from graft.features.inventory import Cached, CachedFile
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
    """Read the keys of a revision's manifest; none if it has no manifest, or one that is among `seen`."""
    files, prefix = open_revision(repo, commit)
    path = prefix + MANIFEST.as_posix()
    try:
        info = files.info(path)
    except FileNotFoundError:
        return set()
    md5 = info.get("md5")
    if md5 in seen or (md5 is None and "fs_info" not in info):  # the latter: in dvc.yaml, but never made
        return set()
    rows = csv.DictReader(StringIO(files.read_text(path, encoding="utf-8"), newline=""))
    keys = {row["key"] for row in rows}
    if md5:
        seen.add(md5)
    return keys


def unneeded(store: Sequence[Cached], keys: set[str]) -> list[Cached]:
    """Select the entries of each fingerprint that hold no image of `keys`, or are damaged."""
    found = []
    for cached in store:
        files = [file for file in cached.files if keys.isdisjoint(key for key, _ in file.rows)]
        found += [Cached(cached.folder, files)] if files else []
    return found


def leftovers(root: Path) -> list[CachedFile]:
    """List the temporary files of killed runs: one that runs never leaves its file unchanged for an hour."""
    files = []
    for file in sorted(root.glob("*/*.tmp")):
        with suppress(FileNotFoundError):  # a process at work has just renamed it
            stat = file.stat()
            if time() - stat.st_mtime > LEFTOVER_SECONDS:
                files.append(CachedFile(file, stat.st_size, []))
    return files


def drop(files: Sequence[CachedFile]) -> None:
    """Remove files of the store, and the folders of fingerprints that hold nothing else."""
    for file in files:
        file.path.unlink(missing_ok=True)
    for folder in {file.path.parent for file in files}:
        if [file.name for file in folder.iterdir()] == ["fingerprint.json"]:
            (folder / "fingerprint.json").unlink()
            folder.rmdir()
