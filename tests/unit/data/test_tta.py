"""Test-time augmentation: the mean over image and views, whatever the order and the batches."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.data.augmentation import augment
from graft.data.tta import average_with_views, make_views
from helpers.augmentations import AUGMENTATIONS


def score(images: np.ndarray) -> np.ndarray:
    """Three numbers of each image that depend on where its values lie."""
    images = np.asarray(images, np.float64)
    return np.stack([images.mean((1, 2, 3)), images[:, 0].mean((1, 2)), images[..., 0].max((1, 2))], axis=1)


def average(images: np.ndarray, keys: list[str], views: Any) -> np.ndarray:
    return average_with_views(score(images), score, images, keys, views)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


KEYS = [f"{n:064x}" for n in range(5)]


@settings(max_examples=20)
@given(AUGMENTATIONS, st.integers(1, 3), st.permutations(range(5)), st.integers(1, 4))
def test_a_score_is_the_mean_over_the_image_and_its_views(
    images: np.ndarray, spec: Any, number: int, order: list[int], cut: int
) -> None:
    views = make_views(number, spec.model_dump())
    seen = [images, *(augment(images, KEYS, [view] * 5, spec) for view in range(1, number + 1))]
    expected = np.mean([score(each) for each in seen], axis=0)
    parts = [order[:cut], order[cut:]]
    found = np.concatenate([average(images[part], [KEYS[i] for i in part], views) for part in parts])
    np.testing.assert_allclose(found, expected[order], rtol=1e-5)


@pytest.mark.parametrize("number", [1, 4])
def test_views_that_do_nothing_change_nothing(images: np.ndarray, number: int) -> None:
    np.testing.assert_allclose(average(images, KEYS, make_views(number, {})), score(images), rtol=1e-12)


@pytest.mark.parametrize(
    ("number", "augmentation", "message"),
    [
        (-1, {}, "expected a number of views of at least 1, received tta=-1"),
        (2, {"flop": "x"}, r"(?s)augmentation.flop: unknown key.*received 'x'; legal here: flip, rotation"),
        (2, {"rotation": 3}, r"augmentation.rotation: .*received 3"),
    ],
)
def test_errors_say_what_is_legal(number: int, augmentation: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_views(number, augmentation)
