"""The map of the images: neighbours stay neighbours, what is odd is found, and nothing is left to chance."""

from io import BytesIO
from math import ceil, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graft.curation import embedding_map
from graft.curation.embedding_map import MAX_BYTES, MOST, SIDES, choose_keys, choose_side, draw_sheet, lay_out

GROUPS, EACH = 3, 25


def draw_features(seed=0):
    """Three groups of directions, of rows of all lengths; the last row is of none."""
    rng = np.random.default_rng(seed)
    middles = np.eye(20)[:GROUPS].repeat(EACH, axis=0)
    rows = np.vstack([middles + rng.normal(0, 0.05, (GROUPS * EACH, 20)), np.eye(20)[-1]])
    return (rows * rng.uniform(0.1, 10, (len(rows), 1))).astype(np.float32)


@pytest.fixture(scope="module")
def laid_out():
    return lay_out(draw_features(), 0)


def test_neighbours_on_the_map_are_those_of_the_features(laid_out):
    places, _ = laid_out
    groups = np.arange(GROUPS * EACH) // EACH
    apart = np.hypot(*(places[:-1, None] - places[None, :-1]).T)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(0)] == groups).mean() > 0.95


def test_all_lie_within_the_square_and_touch_two_sides(laid_out):
    places, _ = laid_out
    assert places.shape == (GROUPS * EACH + 1, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    assert max(np.ptp(places, axis=0)) == pytest.approx(1, abs=1e-3)


def test_the_image_that_is_like_no_other_is_the_first_outlier(laid_out):
    places, outliers = laid_out
    assert outliers[0] == GROUPS * EACH
    chosen = places[outliers]
    apart = np.hypot(*(chosen[:, None] - chosen[None]).T) + np.eye(len(chosen))
    assert apart.min() >= embedding_map.APART


def test_the_same_features_and_seed_give_the_same_whatever_their_lengths(laid_out):
    places, outliers = lay_out(draw_features(), 0)
    np.testing.assert_array_equal(places, laid_out[0])
    assert outliers == laid_out[1]
    np.testing.assert_array_equal(lay_out(draw_features() * np.float32(4), 0)[0], places)


@pytest.mark.parametrize(
    ("features", "said"),
    [(np.eye(4), "at least 5 images, received 4"), (np.ones((9, 3)), "all 9 images have the same features")],
)
def test_what_has_no_map_is_a_sentence(features, said):
    with pytest.raises(ValueError, match=said):
        lay_out(features.astype(np.float32), 0)


@pytest.mark.parametrize("n", [5, 6, 9])
def test_a_few_images_have_a_map(n):
    places, outliers = lay_out(draw_features()[-n:], 0)
    assert np.isfinite(places).all()
    assert outliers


@given(keys=st.sets(st.text("0123456789abcdef", min_size=4, max_size=4), min_size=1), seed=st.integers(0, 9))
def test_few_keys_are_all_chosen_in_order(keys, seed):
    assert choose_keys(keys, seed) == sorted(keys)


def test_of_many_keys_a_seed_chooses_the_same_whatever_their_order():
    keys = [f"{n:064x}" for n in range(MOST + 500)]
    chosen = choose_keys(keys, 0)
    assert len(set(chosen)) == MOST
    assert chosen == choose_keys(keys[::-1], 0) == sorted(chosen) != choose_keys(keys, 1)
    assert len(set(chosen) - set(choose_keys(keys[1:], 0))) <= 1  # one image less changes one other at most


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_a_thumbnail_is_where_its_number_says(n):
    rng, side = np.random.default_rng(0), 32
    colours = rng.integers(0, 256, (n, 3), dtype=np.uint8)
    tiles = (np.full((side, side, 3), colour, np.uint8) for colour in colours)
    sheet = np.asarray(Image.open(BytesIO(draw_sheet(tiles, n)))).astype(int)
    columns = ceil(sqrt(n))
    assert sheet.shape[1] == columns * side
    for i, colour in enumerate(colours):
        y, x = divmod(i, columns)
        tile = sheet[y * side : (y + 1) * side, x * side : (x + 1) * side]
        assert (
            np.abs(tile[1:-1, 1:-1] - colour.astype(int)).max() < 12
        )  # JPEG smooths colours across the edge


@pytest.mark.parametrize("n", SIDES)
def test_all_thumbnails_together_stay_small_even_of_noise(n):
    rng, side = np.random.default_rng(0), choose_side(n)
    tiles = (rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(n))
    assert len(draw_sheet(tiles, n)) <= MAX_BYTES
