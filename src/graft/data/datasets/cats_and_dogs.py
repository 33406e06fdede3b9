"""Cats and dogs: Microsoft's 25,000 photos of the Asirra test, or Kaggle's copy of them."""

import re
from collections.abc import Iterator
from pathlib import Path

from graft.data.archives import list_members, read_members
from graft.data.download import DownloadError, Source, download
from graft.data.listing import LISTING, find_listed, list_file, read_listing, write_listing
from graft.data.raw import RawImage

SOURCE = Source(
    url="https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
    "kagglecatsanddogs_5340.zip",
    checksum="sha256:b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
    size=824_887_076,
    licence="Community Data License Agreement, Permissive 2.0: CDLA-Permissive-2.0.pdf in the archive",
    citation="Elson, Douceur, Howell, Saul: Asirra: a CAPTCHA that exploits interest-aligned manual image "
    "categorization. ACM CCS 2007",
    homepage="https://www.microsoft.com/en-us/download/details.aspx?id=54765",
)
KNOWN_FAULTS = dict.fromkeys(
    ("PetImages/Cat/666.jpg", "PetImages/Dog/11702.jpg"), "a known fault of the archive: the file is empty"
)
KAGGLE = "train.zip"  # of https://www.kaggle.com/c/dogs-vs-cats/data, which asks for an account

# Microsoft's PetImages/Cat/0.jpg, Kaggle's train/cat.0.jpg
_NAME = re.compile(r"(?:PetImages/(Cat|Dog)/|train/(cat|dog)\.)\d+\.jpg")


def fetch(raw: Path, source: Path, cache: Path, archive: Source = SOURCE) -> None:
    """List Kaggle's archive in ``raw``, where ``source`` has it; else put Microsoft's there, downloaded.

    Args:
        source: a folder that may hold Kaggle's ``train.zip``, or that file itself.

    Raises:
        DownloadError: if the download fails.
        ValueError: if ``source`` is a file, but not such an archive.
    """
    kaggle = source if source.suffix == ".zip" else source / KAGGLE
    if not kaggle.is_file():
        try:
            download(archive, raw, cache)
        except DownloadError as error:
            raise DownloadError(f"{error}; or put Kaggle's {KAGGLE} at {kaggle}") from None
    elif list_members(kaggle, _NAME.fullmatch):
        write_listing([list_file(kaggle)], raw)
    else:
        raise ValueError(
            f"source={kaggle} holds no photo of cats_and_dogs: expected train/cat.0.jpg as in Kaggle's "
            "archive, or PetImages/Cat/0.jpg as in Microsoft's; correct it, or remove it to download"
        )


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the photos of the archive that is, or is listed, in ``raw``, labelled cat or dog."""
    (archive,) = raw.iterdir()
    if archive.name == LISTING:
        (listed,) = read_listing(raw)
        archive = find_listed(listed)
    for path, data in read_members(archive, _NAME.fullmatch):
        match = _NAME.fullmatch(path)
        assert match
        yield RawImage(path, (match[1] or match[2]).lower(), None, data)
