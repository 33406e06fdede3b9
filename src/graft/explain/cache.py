"""Heat maps that were drawn before, by what they depend on: a folder that may be deleted at any time."""

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import graft
from graft.utils.files import digest, write_bytes

LIMIT = 10_000  # entries, of which none exceeds 10 kB by much
CODE = ("data", "explain", "models", "training")  # the packages that compute and draw
LIBRARIES = ("keras", "numpy", "pillow")
SIZE = 32  # bytes of a checksum


class HeatMap(NamedTuple):
    """A heat map as the report shows it.

    Attributes:
        score: the probability that the model gives the class, to 6 decimals.
        image: a PNG.
    """

    score: float
    image: bytes


class Cache:
    """The heat maps of one model.

    An entry's name is the digest of the model's file, the image's key, the class, the code and the versions
    of the libraries; so no entry is ever outdated. Its first bytes are the checksum of the others.

    Args:
        folder: of the entries, of all models.
        model: the file of a deployable model.
    """

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder = folder
        self._base = f"{digest(model)} {_describe_code()}"

    def read(self, key: str, number: int) -> HeatMap | None:
        """Look up the heat map of an image for a class; None where there is none, or a damaged one."""
        file = self._file(key, number)
        try:
            entry = file.read_bytes()
        except FileNotFoundError:
            return None
        checksum, content = entry[:SIZE], entry[SIZE:]
        if sha256(content).digest() != checksum:
            return None
        with suppress(OSError):  # in a checkout that can only be read
            file.touch()
        score, _, image = content.partition(b"\n")
        return HeatMap(float(score), image)

    def write(self, key: str, number: int, heat_map: HeatMap) -> None:
        """Keep the heat map of an image for a class."""
        content = b"%s\n%s" % (repr(heat_map.score).encode(), heat_map.image)
        write_bytes(sha256(content).digest() + content, self._file(key, number))

    def _file(self, key: str, number: int) -> Path:
        return self._folder / sha256(f"{self._base} {key} {number}".encode()).hexdigest()


def drop_oldest(folder: Path, limit: int = LIMIT) -> None:
    """Leave that many entries, those that were used last."""

    def last_use(file: Path) -> float:
        with suppress(FileNotFoundError):  # another process may drop it, too
            return file.stat().st_mtime
        return 0

    for file in sorted(folder.glob("*"), key=last_use, reverse=True)[limit:]:
        file.unlink(missing_ok=True)


def _describe_code() -> str:
    """Describe what a heat map depends on besides model, image and class, without an import of Keras."""
    root = Path(graft.__file__).parent
    files: Iterable[Path] = sorted(file for package in CODE for file in (root / package).rglob("*.py"))
    code = sha256(b"".join(sha256(file.read_bytes()).digest() for file in files)).hexdigest()
    backend = os.environ["KERAS_BACKEND"]
    return " ".join([code, *(version(name) for name in (*LIBRARIES, backend))])
