"""The demo: 400 photos of five flowers, 80 of each, 128 x 128 pixels, which come with graft."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from graft.data.archives import read_members
from graft.data.raw import RawImage, is_image
from graft.utils.bundled import read_bundled
from graft.utils.files import write_bytes

SOURCE = None
NOTICE = (
    "The photos are from TensorFlow's flower_photos, cropped to squares and scaled to 128 x 128 pixels. They "
    "are by their photographers, whom https://www.flickr.com/photo.gne?id=NUMBER names, with the number in a "
    "file's name (graft's CREDITS.csv lists them); CC BY 2.0, https://creativecommons.org/licenses/by/2.0/."
)
ARCHIVE = "flowers.zip"
SHA256 = "9386a9ce3ce0153cb995a3be976cb44a1ff0e7236dc361b4d678e0a80f956578"


def fetch(raw: Path, source: Path, cache: Path) -> None:  # noqa: ARG001
    """Copy the archive that comes with graft to ``raw``."""
    content = read_bundled(ARCHIVE, SHA256)
    write_bytes(content, raw / ARCHIVE)


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the photos of the archive in ``raw``: ``<label>/<photo's number on Flickr>.jpg``."""
    for path, data in read_members(raw / ARCHIVE, is_image):
        yield RawImage(path, PurePosixPath(path).parent.name, None, data)
