"""An image with heat on top: small, of few colours, the image's shape, the same bytes."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.explain.overlay import COLOURS, MAX_BYTES, draw_heat

SIDES = st.integers(1, 300)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def rising(height: int = 7, width: int = 7) -> np.ndarray:
    return np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=["PNG"])


@settings(max_examples=25, deadline=None)
@example(height=128, width=128, h=7, w=7)  # noise that 128 colours do not press into the limit
@given(height=SIDES, width=SIDES, h=st.integers(1, 16), w=st.integers(1, 16))
def test_of_any_image_it_is_small_and_keeps_its_aspect_ratio(height: int, width: int, h: int, w: int) -> None:
    image, heat = noise(height, width), rising(h, w)
    data = draw_heat(image, heat)
    assert data == draw_heat(image.copy(), heat.copy())
    assert len(data) <= MAX_BYTES == 10_000
    drawn = opened(data)
    assert drawn.mode == "P"
    assert len(drawn.getcolors()) <= 128
    assert not drawn.info.keys() - {"transparency"}
    scale = min(1, 128 / max(height, width))
    assert drawn.size == (pytest.approx(scale * width, abs=1), pytest.approx(scale * height, abs=1))
    assert max(drawn.size) == min(128, max(height, width))


def test_without_heat_it_is_the_gray_image() -> None:
    image = np.repeat(np.arange(64, dtype=np.uint8)[:, None, None] * 4, 3, axis=2).repeat(64, axis=1)
    pixels = np.asarray(opened(draw_heat(image, np.zeros((7, 7)))).convert("RGB")).astype(int)
    assert np.abs(pixels - image).max() <= 9  # half of a step of 16
    assert np.ptp(pixels, axis=2).max() == 0


@pytest.mark.parametrize("level", [0, 255])
def test_heat_shows_where_it_is_on_dark_and_on_light(level: int) -> None:
    image = np.full((100, 60, 3), level, np.uint8)
    heat = np.zeros((5, 3), np.float32)
    heat[1, 2] = 1
    pixels = np.asarray(opened(draw_heat(image, heat)).convert("RGB")).astype(int)
    change = np.abs(pixels - level).sum(axis=2)
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert 20 <= row < 40
    assert 40 <= column < 60
    assert change.max() > 100
    assert change[60:, :20].max() <= 15


def test_heat_has_no_colour_of_the_image() -> None:
    """A yellow flower is not heat."""
    yellow = np.full((20, 20, 3), (255, 220, 0), np.uint8)
    pixels = np.asarray(opened(draw_heat(yellow, np.zeros((2, 2)))).convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=2).max() == 0


def test_few_colours_do_not_carry_heat_to_where_there_is_none() -> None:
    """A white leaf in a cold corner stays white."""
    image = np.linspace(60, 120, 128 * 128 * 3).reshape(128, 128, 3).astype(np.uint8)
    image[5:20, 5:20] = np.random.default_rng(0).integers(220, 256, (15, 15, 1))
    heat = np.zeros((4, 4), np.float32)
    heat[3, 3] = 1
    pixels = np.asarray(opened(draw_heat(image, heat)).convert("RGB")).astype(int)
    assert np.ptp(pixels[5:20, 5:20], axis=2).max() <= 12


def test_more_heat_is_lighter() -> None:
    luma = COLOURS @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) > 0).all()
