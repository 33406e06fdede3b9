"""Decoding alone: `python benchmarks/decode.py --photos FOLDER` gives images/s by threads and by processes.

It needs neither TensorFlow nor another backend, so that it also runs where a GPU is to be fed.
"""

from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import pyarrow.parquet as pq
import typer

from drawings import find_photos
from graft.config.data import Prepare
from graft.data.decoding import decode_keys
from graft.data.ingest import prepare
from graft.data.raw import RawImage

LIMITS = Prepare(
    max_rejected=0, max_pixels=100_000_000, label_conflicts="refuse", empty_classes="refuse", bit_depth=16
)


def main(
    photos: Annotated[Path, typer.Option(help="Folder of JPEG files, each taken again and again.")],
    images: Annotated[int, typer.Option(help="Images in a round.")] = 4096,
    size: Annotated[int, typer.Option(help="Pixels, height = width.")] = 180,
    processes: Annotated[str, typer.Option(help="Numbers of them, with commas; 0: threads.")] = "0,4,8,15",
    rounds: Annotated[int, typer.Option(help="How often the numbers alternate.")] = 3,
) -> None:
    """Measure `prepare`, then decode by each number of processes in turn, their start included."""
    rates: dict[int, list[float]] = {int(number): [] for number in processes.split(",")}
    with TemporaryDirectory(prefix="graft-decode-") as work:
        started = perf_counter()
        keys = _prepare(find_photos(photos), images, Path(work, "images"))
        typer.echo(f"prepare, as it chooses: {images / (perf_counter() - started):,.0f} images/s")
        for _ in range(rounds):
            for number, rate in rates.items():
                rate.append(images / _decode(Path(work, "images"), keys, size, number))
    for number, rate in rates.items():
        by = f"{number} processes" if number else "threads"
        typer.echo(f"{by}: {median(rate):,.0f} ({min(rate):,.0f}-{max(rate):,.0f}) images/s")


def decoding(images: str, work: str, size: int, n_processes: int | None) -> Callable[[], dict[str, float]]:
    """Prepared images -> pixels.

    Args:
        images: folder of JPEG files.
        work: an empty folder.
        size: pixels, height = width.
        n_processes: 0: threads; None: as graft chooses.
    """
    files, folder = find_photos(Path(images)), Path(work, "images")
    keys = _prepare(files, len(files), folder)
    return lambda: {"seconds": _decode(folder, keys, size, n_processes), "images": len(keys)}


def _prepare(files: list[Path], n: int, folder: Path) -> list[str]:
    """Pack n images; bytes behind the end of an image make its copies distinct."""

    def read() -> Iterator[RawImage]:
        for i, file in enumerate(islice(cycle(files), n)):
            yield RawImage(f"{i}.jpg", "ab"[i % 2], None, file.read_bytes() + i.to_bytes(4, "big"))

    prepare(read(), LIMITS, folder)
    keys: list[str] = pq.read_table(folder, columns=["key"], partitioning=None)["key"].to_pylist()
    return keys


def _decode(folder: Path, keys: list[str], size: int, n_processes: int | None) -> float:
    started = perf_counter()
    for _ in decode_keys(folder, keys, size, n_processes=n_processes):
        pass
    return perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
