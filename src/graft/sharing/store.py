"""A place where DVC keeps objects and records of the run-cache: the local cache, or a remote.

Both have the layout of https://dvc.org/doc/user-guide/project-structure/internal-files. DVC's own transfer
takes a directory for complete where its list, the ``.dir`` object, exists, and an object for intact where a
file of its name does; an upload over SSH that was cut leaves such a file. So every file is looked at here,
by its size, and on request by its bytes.
"""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from dvc.output import Output
from dvc.utils import dict_sha256
from filelock import FileLock
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft.utils.progress import track
from graft.utils.temporary import emptied

T = TypeVar("T")
Failed = dict[str, Exception]  # name -> why it was not copied


class DamagedError(Exception):
    """A file is not what its name, a hash, says."""


@dataclass(frozen=True)
class Store:
    """A place of files, whose names, such as ``files/md5/ab/cdef``, are the same in all stores.

    Attributes:
        name: of the remote; empty for the local cache.
        fs: DVC's file system, which has fsspec's methods.
        path: the folder in it.
    """

    name: str
    fs: Any
    path: str

    def __str__(self) -> str:
        return f"remote {self.name!r} ({self.fs.unstrip_protocol(self.path)})"

    def place(self, name: str) -> str:
        return str(self.fs.join(self.path, *name.split("/")))

    def list_runs(self) -> list[str]:
        """Name the records of the run-cache."""
        folder = self.place("runs")
        found = self.fs.find(folder) if self.fs.exists(folder) else ()
        return ["/".join(self.fs.parts(each)[-4:]) for each in found]

    def get_sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        """Name -> bytes, None where there is no such file."""

        def size(name: str) -> int | None:
            try:
                return int(self.fs.info(self.place(name))["size"])
            except FileNotFoundError:
                return None

        return self._map(size, names)

    def find_damaged(self, names: Iterable[str]) -> set[str]:
        """Read files in full, and name those whose bytes are not what their name says."""
        intact = self._map(lambda name: is_intact(self.fs, self.place(name), name), names)
        return {name for name, is_so in intact.items() if not is_so}

    def put(self, cache: "Store", names: Iterable[str], what: str) -> Failed:
        """Copy files of the local cache to here, over what is here of them. `what` names the progress."""

        def copy(name: str) -> None:
            place = self.place(name)
            self.fs.makedirs(self.fs.parent(place), exist_ok=True)
            self.fs.put_file(cache.place(name), place)
            if self.fs.protocol == "local":
                _protect(Path(place))

        return self._copy(copy, names, what)

    def get(self, cache: "Store", names: Iterable[str], what: str) -> Failed:
        """Copy files from here to the local cache, where nothing damaged arrives.

        Waits while another process copies into that cache.
        """
        Path(cache.path).mkdir(parents=True, exist_ok=True)
        with FileLock(cache.place("graft.lock")), emptied(Path(cache.path), "graft-") as folder:

            def copy(name: str) -> None:
                arrived, place = folder / name.replace("/", "-"), Path(cache.place(name))
                self.fs.get_file(self.place(name), str(arrived))
                if not is_intact(cache.fs, str(arrived), name):
                    raise DamagedError(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                _protect(arrived.replace(place))

            return self._copy(copy, names, what)

    def _copy(self, copy: Callable[[str], None], names: Iterable[str], what: str) -> Failed:
        def attempt(name: str) -> Exception | None:
            try:
                copy(name)
            except Exception as error:  # of any kind of remote
                return error
            return None

        return {name: error for name, error in self._map(attempt, names, what).items() if error}

    def _map(self, function: Callable[[str], T], names: Iterable[str], what: str = "") -> dict[str, T]:
        names = list(names)
        with ThreadPoolExecutor(self.fs.jobs) as executor:
            try:
                results: Iterable[T] = executor.map(function, names)
                shown = track(results, what, len(names), "files") if what and names else results
                return dict(zip(names, shown, strict=True))
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise


def _protect(path: Path) -> None:
    """Make an object read-only: DVC then takes it for intact. Records of the run-cache are not."""
    if "runs" not in path.parts[-4:]:
        path.chmod(0o444)


def object_name(digest: str) -> str:
    """Name an object of an md5, which ends in ``.dir`` for a directory's list.

    >>> object_name("abcdef.dir")
    'files/md5/ab/cdef.dir'
    """
    return f"files/md5/{digest[:2]}/{digest[2:]}"


def is_intact(fs: Any, path: str, name: str) -> bool:
    """Compare the bytes of a file with its name, which holds a hash of them."""
    if name.startswith("runs/"):
        return _is_intact_run(fs.cat_file(path), PurePosixPath(name).name)
    digest = md5()
    with fs.open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return object_name(digest.hexdigest()) == name.removesuffix(".dir")


def _is_intact_run(content: bytes, digest: str) -> bool:
    """Compare a record of the run-cache with the hash that DVC names it by, which leaves these two out."""
    try:
        record = YAML(typ="safe").load(content.decode())
        return bool(dict_sha256(record, exclude=["size", "nfiles"]) == digest)
    except (YAMLError, TypeError, ValueError):
        return False


def list_objects(out: Output, *stores: Store) -> dict[str, str]:
    """Path -> name of an output's objects; a directory's own path is that of its list.

    Of a directory whose list is intact in none of the stores, only the list is known.
    """
    path, name = str(out), object_name(out.hash_info.value)
    for store in stores if name.endswith(".dir") else ():
        if store.get_sizes([name])[name] is not None and not store.find_damaged([name]):
            files = json.loads(store.fs.cat_file(store.place(name)))
            inside = {PurePosixPath(path, each["relpath"]).as_posix(): each["md5"] for each in files}
            return {path: name} | {each: object_name(digest) for each, digest in inside.items()}
    return {path: name}
