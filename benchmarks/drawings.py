"""The images that are measured on: JPEG files drawn for the purpose, or photos of your own."""

import io
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 500, 375


def find_photos(folder: Path | None) -> list[Path]:
    """The JPEG files in a folder, at any depth; none where there is no folder."""
    return (
        sorted(file for ending in ("jpg", "jpeg") for file in folder.rglob(f"*.{ending}")) if folder else []
    )


def make_images(folder: Path, n: int, photos: Sequence[Path]) -> list[Path]:
    """Collect n JPEG files in a folder: photos first, drawings where they do not suffice.

    Args:
        folder: to fill.
        n: how many.
        photos: JPEG files; may be empty.

    Returns:
        The files.
    """
    folder.mkdir(parents=True)
    files = [folder / f"{i:05d}.jpg" for i in range(n)]
    for i, file in enumerate(files):
        file.write_bytes(photos[i].read_bytes() if i < len(photos) else draw(i))
    return files


def draw(seed: int) -> bytes:
    """Smooth areas with noise, as in a photo: a JPEG file of 375 x 500 pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    large = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    noisy = np.asarray(large) + rng.integers(-6, 7, (HEIGHT, WIDTH, 3))
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def link(files: Iterable[Path], folder: Path, n: int) -> Path:
    """Link n files into two class folders, each file again and again where they do not suffice."""
    for i, file in enumerate(islice(cycle(files), n)):
        target = folder / "ab"[i % 2] / f"{i:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(file)
    return folder
