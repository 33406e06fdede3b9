"""Five species of flowers, drawn procedurally: the dataset that every clone has.

The species differ in shape (number, width and arrangement of the petals, size of the core). Their
colours overlap, and the background holds leaves and petals of every colour, so that no colour decides.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from graft.data.archives import read_members
from graft.data.raw import RawImage, is_image

SOURCE = None
ARCHIVE = "demo.zip"
SUPERSAMPLING = 2

Floats = NDArray[np.float64]
Range = tuple[float, float]


class Species(NamedTuple):
    """The shape and the colours of a species. Lengths are in units of the flower's radius."""

    petals: tuple[int, int]  # in a ring, from and to
    rings: int
    inner: float  # radius of the innermost ring
    width: Range  # of a petal, as a share of its length
    tip: Range  # below 1 the petal is broadest near its tip, above 1 near its base
    spread: float  # angle that a ring covers, radians: a full turn, or the fan of a cup seen from the side
    core: Range  # radius; 0 is none
    colours: tuple[float, ...]  # probability of each colour of PETAL_COLOURS
    cores: tuple[float, ...]  # probability of each colour of CORE_COLOURS


TURN = 2 * np.pi
# white, yellow, orange, red, pink, purple
PETAL_COLOURS = np.array(
    [[240, 238, 230], [245, 205, 40], [238, 140, 45], [200, 40, 50], [232, 130, 170], [150, 85, 180]], float
)
# yellow, brown, green
CORE_COLOURS = np.array([[235, 190, 50], [85, 55, 30], [120, 140, 50]], float)
GROUND_COLOURS = np.array([[60, 105, 50], [90, 125, 70], [105, 90, 65], [95, 115, 115]], float)

SPECIES = {
    "daisy": Species(
        (11, 16), 1, 1.0, (0.16, 0.22), (0.7, 0.9), TURN, (0.2, 0.3),
        (0.55, 0.10, 0.05, 0.05, 0.15, 0.10), (0.6, 0.2, 0.2),
    ),
    "dandelion": Species(
        (26, 36), 4, 0.3, (0.06, 0.10), (0.8, 1.0), TURN, (0.0, 0.0),
        (0.20, 0.50, 0.15, 0.05, 0.05, 0.05), (0.6, 0.2, 0.2),
    ),
    "rose": Species(
        (5, 7), 4, 0.3, (0.8, 1.0), (0.5, 0.6), TURN, (0.0, 0.0),
        (0.15, 0.10, 0.05, 0.45, 0.20, 0.05), (0.3, 0.4, 0.3),
    ),
    "sunflower": Species(
        (18, 24), 2, 0.85, (0.15, 0.2), (1.0, 1.3), TURN, (0.45, 0.55),
        (0.05, 0.50, 0.30, 0.05, 0.05, 0.05), (0.1, 0.8, 0.1),
    ),
    "tulip": Species(
        (3, 4), 2, 0.9, (0.45, 0.6), (0.7, 0.9), 0.9, (0.0, 0.0),
        (0.10, 0.10, 0.05, 0.20, 0.25, 0.30), (0.3, 0.3, 0.4),
    ),
}  # fmt: skip


def fetch(raw: Path, source: Path, cache: Path, params: Any) -> None:  # noqa: ARG001
    """Draw the images into one archive, ``raw/demo.zip``; its bytes depend on the parameters only."""
    raw.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(raw / ARCHIVE, "w", zipfile.ZIP_STORED) as archive:
        for number, label in enumerate(sorted(SPECIES)):
            for i in range(params.demo.images_per_class):
                # The default date of a ZipInfo is 1980-01-01: fixed.
                member = zipfile.ZipInfo(f"{label}/{label}_{i:03d}.jpg")
                rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([params.seed, number, i])))
                archive.writestr(member, draw_flower(SPECIES[label], params.demo.image_size, rng))


def read(raw: Path) -> Iterator[RawImage]:
    """Yield the images of ``raw/demo.zip``."""
    for path, data in read_members(raw / ARCHIVE, is_image):
        yield RawImage(path, path.split("/")[0], None, data)


def draw_flower(species: Species, size: int, rng: np.random.Generator) -> bytes:
    """Draw one flower on a cluttered background.

    Args:
        species: its shape and colours.
        size: height and width in pixels.
        rng: the source of every choice.

    Returns:
        A JPEG file.
    """
    canvas = _background(size, rng).resize((size * SUPERSAMPLING,) * 2)
    _flower(ImageDraw.Draw(canvas), size * SUPERSAMPLING, species, rng)
    image = canvas.reduce(SUPERSAMPLING).filter(ImageFilter.GaussianBlur(size / 128 * rng.uniform(0, 0.8)))
    noisy = np.asarray(image, float) * rng.uniform(0.9, 1.1) + rng.normal(0, 4, (size, size, 3))
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


def _background(size: int, rng: np.random.Generator) -> Image.Image:
    """Ground, blurred leaves, and a few blurred petals of any colour."""
    canvas = Image.new("RGB", (size, size), _rgb(GROUND_COLOURS[rng.integers(4)], 10, rng))
    draw = ImageDraw.Draw(canvas)
    for colours, count in ((GROUND_COLOURS[:3], rng.integers(6, 14)), (PETAL_COLOURS, rng.integers(1, 5))):
        for _ in range(count):
            leaf = _turn(_petal(rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.5)), rng.uniform(0, TURN))
            place = rng.uniform(0, size, 2)
            fill = _rgb(colours[rng.integers(len(colours))], 22, rng)
            draw.polygon(_points(leaf * size * rng.uniform(0.15, 0.4) + place), fill=fill)
    return canvas.filter(ImageFilter.GaussianBlur(size * rng.uniform(0.006, 0.02)))


def _flower(draw: ImageDraw.ImageDraw, size: int, species: Species, rng: np.random.Generator) -> None:
    """Rings of petals from the outside in, then the core; tilted, turned, scaled and moved."""
    cup = species.spread < TURN
    turn = rng.normal(-TURN / 4, 0.3) if cup else rng.uniform(0, TURN)
    radius = size * rng.uniform(0.39, 0.46) * (1.4 if cup else 1)
    tilt = np.array([[1, 0], [0, rng.uniform(0.85, 1)]])
    middle = size * (0.5 + rng.uniform(-0.03, 0.03, 2))
    if cup:
        middle -= 0.5 * radius * np.array([np.cos(turn), np.sin(turn)])
        stem = middle - size * np.array([np.cos(turn), np.sin(turn)])
        draw.line([*middle, *stem], fill=_rgb(GROUND_COLOURS[0], 15, rng), width=round(size * 0.03))
    colour = PETAL_COLOURS[rng.choice(len(PETAL_COLOURS), p=species.colours)] + rng.normal(0, 14, 3)
    outline = _petal(rng.uniform(*species.width), rng.uniform(*species.tip))
    for ring in np.linspace(1, species.inner, species.rings):
        count = rng.integers(species.petals[0], species.petals[1] + 1)
        steps = (np.arange(count) + 0.5) / count - 0.5
        for angle in rng.permutation(steps * species.spread + (0 if cup else rng.uniform(0, TURN))):
            petal = _turn(outline, angle + turn + rng.normal(0, 0.04)) * ring * rng.normal(1, 0.05)
            shade = colour * (0.7 + 0.3 * ring) * rng.normal(1, 0.06)
            points = _points(petal @ tilt * radius + middle)
            draw.polygon(
                points, fill=_rgb(shade, 4, rng), outline=_rgb(shade * 0.6, 4, rng), width=max(1, size // 128)
            )
    core = rng.uniform(*species.core)
    if core:
        angles = np.linspace(0, TURN, 40)
        circle = np.column_stack([np.cos(angles), np.sin(angles)]) * core
        fill = _rgb(CORE_COLOURS[rng.choice(len(CORE_COLOURS), p=species.cores)], 12, rng)
        draw.polygon(_points(circle @ tilt * radius + middle), fill=fill)


def _petal(width: float, tip: float) -> Floats:
    """Outline a petal of length 1 that lies along the x axis: (24, 2)."""
    along = np.linspace(0, 1, 12)
    half = width / 2 * np.sin(np.pi * along ** (1 / tip)) ** 0.8
    return np.concatenate([np.stack([along, half], 1), np.stack([along, -half], 1)[::-1]])


def _turn(outline: Floats, angle: float) -> Floats:
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Floats = outline @ np.array([[cos, sin], [-sin, cos]])
    return turned


def _points(outline: Floats) -> list[float]:
    return outline.ravel().tolist()


def _rgb(colour: Floats, jitter: float, rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (colour + rng.normal(0, jitter, 3)).clip(0, 255).astype(int).tolist()
    return red, green, blue
