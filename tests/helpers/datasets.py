"""The datasets that graft downloads, made tiny and served on the loopback."""

import functools
import hashlib
import io
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

from graft.data.datasets import cats_and_dogs, cifar10, fashion_mnist, flowers
from helpers.archives import make_tar, make_zip
from helpers.repository import picture
from helpers.small_images import write_cifar10, write_fashion_mnist


def arrays(n, shape):
    """Images with different pixels, and their class numbers: as many of each of ten classes."""
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10


# Of each class of cats and dogs: four photos to train on, two to validate and two to test.
NUMBERS = [0, 1, 2, 999, 1000, 1499, 1500, 1999]


def write_kaggle(folder):
    """Kaggle's train.zip."""
    names = [f"train/{label}.{number}.jpg" for label in ("cat", "dog") for number in NUMBERS]
    make_zip(folder / "train.zip", {name: picture(seed) for seed, name in enumerate(names)})


def write_microsoft(folder):
    """Microsoft's archive with its dirt: documents, thumbnails, empty files, and images of other kinds.

    The published split takes none of the photos from number 2000 on, among which one is cut off.
    """
    numbers = [*NUMBERS, *range(2000, 2040)]
    photos = [f"PetImages/{label}/{number}.jpg" for label in ("Cat", "Dog") for number in numbers]
    files = {name: picture(seed) for seed, name in enumerate(photos)}
    files["PetImages/Cat/1.jpg"] = without_jfif(files["PetImages/Cat/1.jpg"])
    files["PetImages/Cat/2.jpg"] = encode_again(files["PetImages/Cat/2.jpg"], "GIF")
    files["PetImages/Dog/1000.jpg"] = encode_again(files["PetImages/Dog/1000.jpg"], "BMP")
    files["PetImages/Dog/2001.jpg"] = files["PetImages/Dog/2001.jpg"][:-300]
    dirt = ["CDLA-Permissive-2.0.pdf", "readme[1].txt", "PetImages/Cat/666.jpg", "PetImages/Dog/11702.jpg"]
    dirt += ["PetImages/Cat/Thumbs.db", "PetImages/Dog/Thumbs.db"]
    make_zip(folder / "kagglecatsanddogs_5340.zip", files | dict.fromkeys(dirt, b""))


def without_jfif(jpeg):
    """The same JPEG file without the header that names its kind."""
    assert jpeg[2:4] == b"\xff\xe0"
    return jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]


def encode_again(data, kind):
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).save(file, kind)
    return file.getvalue()


def write_flowers(folder):
    """The flowers' archive: classes of 8 or 4 photos, its licence, and the copies that the real one has."""
    sizes = {"daisy": 8, "dandelion": 8, "roses": 4, "sunflowers": 4, "tulips": 4}
    photos = [f"flower_photos/{label}/{i}.jpg" for label, size in sizes.items() for i in range(size)]
    files = {name: picture(seed) for seed, name in enumerate(photos)}
    files |= dict.fromkeys(flowers.KNOWN_FAULTS, picture(len(photos)))
    copies = {"15066430311_fb57fa92b0_m": 0, "15072973261_73e2912ef2_n": 1}
    for name, number in copies.items():
        files[f"flower_photos/sunflowers/{name}.jpg"] = files[f"flower_photos/sunflowers/{number}.jpg"]
    make_tar(folder / "flower_photos.tgz", {"flower_photos/LICENSE.txt": b"CC BY", **files}, "w:gz")


def point_to(repo, module, folder, address):
    """Let a dataset of the repository be downloaded from a server of `folder`, with its checksums."""
    file = repo / "src/graft/data/datasets" / f"{module.__name__.rsplit('.', 1)[1]}.py"
    text = file.read_text(encoding="utf-8")
    sources = module.SOURCE if isinstance(module.SOURCE, tuple) else (module.SOURCE,)
    for source in sources:
        base, name = source.url.rsplit("/", 1)
        algorithm, digest = source.checksum.split(":")
        content = (folder / name).read_bytes()
        for old, new in {
            f"{base}/": f"{address}/",
            digest: hashlib.new(algorithm, content).hexdigest(),
            f"{source.size:_}": str(len(content)),
        }.items():
            text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


@contextmanager
def serve_datasets(repo, published):
    """Let a repository download tiny datasets, from a server.

    Args:
        repo: the sources of its datasets are changed, for good.
        published: a folder to be made, which is what the server has.
    """
    write_fashion_mnist(published, arrays(100, (28, 28)), arrays(10, (28, 28)))
    write_cifar10(published, arrays(100, (32, 32, 3)), arrays(10, (32, 32, 3)))
    write_flowers(published)
    write_microsoft(published)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=published)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for module in (cats_and_dogs, flowers, fashion_mnist, cifar10):
            point_to(repo, module, published, f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()
