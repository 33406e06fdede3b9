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
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from dvc.output import Output
from dvc.utils import dict_sha256
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft.utils.progress import track

T = TypeVar("T")
Failed = dict[str, Exception]  # name -> why it was not copied


@dataclass(frozen=True)
class Store:
    """A place of objects.

    A file in it has a name, such as ``files/md5/ab/cdef``, which is the same in all stores.

    Attributes:
        fs: DVC's file system, which has fsspec's methods.
        path: the folder in it.
    """

    fs: Any
    path: str

    def place(self, name: str) -> str:
        return str(self.fs.join(self.path, *name.split("/")))

    def list_runs(self) -> list[str]:
        """Name the records of the run-cache."""
        if not self.fs.exists(self.place("runs")):
            return []
        return ["/".join(self.fs.parts(each)[-4:]) for each in self.fs.find(self.place("runs"))]

    def get_sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        """Bytes of each file, None where there is none."""

        def size(name: str) -> int | None:
            try:
                return int(self.fs.info(self.place(name))["size"])
            except FileNotFoundError:
                return None

        return self._map(size, names)

    def find_damaged(self, names: Iterable[str]) -> set[str]:
        """Read files in full: those whose bytes are not what their name says."""

        def is_damaged(name: str) -> bool:
            return not is_intact(self.fs, self.place(name), name)

        return {name for name, damaged in self._map(is_damaged, names).items() if damaged}

    def read_list(self, name: str) -> dict[str, str] | None:
        """Path below a directory -> md5, out of its list; None where it is not there, or damaged."""
        try:
            content = self.fs.cat_file(self.place(name))
        except FileNotFoundError:
            return None
        if object_name(f"{md5(content).hexdigest()}.dir") != name:
            return None
        return {each["relpath"]: each["md5"] for each in json.loads(content)}

    def _map(self, function: Callable[[str], T], names: Iterable[str]) -> dict[str, T]:
        names = list(names)
        with ThreadPoolExecutor(self.fs.jobs) as executor:
            try:
                return dict(zip(names, executor.map(function, names), strict=True))
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise

    def put(self, cache: "Store", names: Iterable[str], what: str) -> Failed:
        """Copy files of the local cache to here, over what is here of them. `what` names the progress."""

        def copy(name: str) -> None:
            place = self.place(name)
            self.fs.makedirs(self.fs.parent(place), exist_ok=True)
            self.fs.put_file(cache.place(name), place)
            self._protect(name)

        return self._copy(copy, names, what)

    def get(self, remote: "Store", names: Iterable[str], what: str) -> Failed:
        """Copy files of a remote to here, the local cache, where nothing damaged arrives."""
        Path(self.path).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.path, prefix="graft-") as folder:

            def copy(name: str) -> None:
                arrived, place = Path(folder, name.replace("/", "-")), Path(self.place(name))
                remote.fs.get_file(remote.place(name), str(arrived))
                if not is_intact(self.fs, str(arrived), name):
                    raise DamagedError(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                arrived.replace(place)
                self._protect(name)

            return remote._copy(copy, names, what)

    def _copy(self, copy: Callable[[str], None], names: Iterable[str], what: str) -> Failed:
        def attempt(name: str) -> Exception | None:
            try:
                copy(name)
            except Exception as error:  # of any kind of remote
                return error
            return None

        names = list(names)
        with ThreadPoolExecutor(self.fs.jobs) as executor:
            results = track(executor.map(attempt, names), what, len(names), "files") if names else ()
            return {name: error for name, error in zip(names, results, strict=True) if error is not None}

    def _protect(self, name: str) -> None:
        """Make an object in a folder read-only: DVC then takes it for intact."""
        if self.fs.protocol == "local" and name.startswith("files/"):
            Path(self.place(name)).chmod(0o444)


class DamagedError(Exception):
    """A file is not what its name, a hash, says."""


def object_name(digest: str) -> str:
    """Name an object of an md5, which ends in ``.dir`` for a directory's list.

    >>> object_name("abcdef.dir")
    'files/md5/ab/cdef.dir'
    """
    return f"files/md5/{digest[:2]}/{digest[2:]}"


def is_list(name: str) -> bool:
    return name.endswith(".dir")


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
    """Name -> path of an output's objects, its list included.

    Of a directory whose list is in none of the stores only the list is known.
    """
    name, path = object_name(out.hash_info.value), str(out)
    objects = {name: path}
    if is_list(name):
        for inside, digest in (read_list(name, *stores) or {}).items():
            objects[object_name(digest)] = PurePosixPath(path, inside).as_posix()
    return objects


def read_list(name: str, *stores: Store) -> dict[str, str] | None:
    """Path -> md5, out of the first store that has the list intact; None where none has."""
    return next((found for store in stores if (found := store.read_list(name)) is not None), None)
