"""Flower photos: 3,670 photos of daisies, dandelions, roses, sunflowers and tulips."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from graft.data.archives import read_members
from graft.data.download import Source, download
from graft.data.raw import RawImage, is_image

SOURCE = Source(
    url="http://download.tensorflow.org/example_images/flower_photos.tgz",
    checksum="sha256:4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    size=228_813_984,
    licence="CC BY 2.0, by the photographers that LICENSE.txt in the archive names",
    citation="The TensorFlow Team: Flowers (January 2019)",
    homepage="https://www.tensorflow.org/datasets/catalog/tf_flowers",
)
NOTICE = (
    "The photos are TensorFlow's flower_photos, by the photographers that LICENSE.txt in its archive names; "
    "CC BY 2.0, https://creativecommons.org/licenses/by/2.0/."
)
KNOWN_FAULTS = dict.fromkeys(
    (f"flower_photos/{label}/15922772266_1167a06620.jpg" for label in ("roses", "tulips")),
    "a known fault of the archive: the same photo is among the roses and the tulips",
)


def fetch(raw: Path, source: Path, cache: Path, archive: Source = SOURCE) -> None:  # noqa: ARG001
    """Download the archive to ``raw``."""
    download(archive, raw, cache)


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the photos of the archive in ``raw``: ``flower_photos/<label>/<name>.jpg``."""
    (archive,) = raw.iterdir()
    for path, data in read_members(archive, is_image):
        yield RawImage(path, PurePosixPath(path).parent.name, None, data)
