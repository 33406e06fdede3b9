"""The datasets that graft downloads, made tiny and served on the loopback."""

import functools
import hashlib
import threading
import zipfile
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from graft.data.datasets import cifar10, fashion_mnist, flowers
from helpers.archives import make_tar
from helpers.repository import picture
from helpers.small_images import write_cifar10, write_fashion_mnist


def arrays(n, shape):
    """Images with different pixels, and their class numbers: as many of each of ten classes."""
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10


def write_kaggle(folder):
    """Kaggle's train.zip: of each class four photos to train on, two to validate and two to test."""
    numbers = [0, 1, 2, 999, 1000, 1499, 1500, 1999]
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        for seed, name in enumerate(f"{label}.{number}" for label in ("cat", "dog") for number in numbers):
            archive.writestr(f"train/{name}.jpg", picture(seed))


def write_flowers(folder):
    """The flowers' archive: of the five classes, some have more photos than others."""
    sizes = {"daisy": 8, "dandelion": 8, "roses": 4, "sunflowers": 4, "tulips": 4}
    photos = [f"flower_photos/{label}/{i}.jpg" for label, size in sizes.items() for i in range(size)]
    files = {name: picture(seed) for seed, name in enumerate(photos)}
    make_tar(folder / "flower_photos.tgz", {"flower_photos/LICENSE.txt": b"CC BY", **files})


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
    """Let a repository download tiny datasets, from a server; Kaggle's `write_kaggle` makes.

    Args:
        repo: the sources of its datasets are changed, for good.
        published: a folder to be made, which is what the server has.
    """
    write_fashion_mnist(published, arrays(100, (28, 28)), arrays(10, (28, 28)))
    write_cifar10(published, arrays(100, (32, 32, 3)), arrays(10, (32, 32, 3)))
    write_flowers(published)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=published)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for module in (flowers, fashion_mnist, cifar10):
            point_to(repo, module, published, f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()
