"""Test-time augmentation: the score of an image is the mean over it and its views."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from graft.config.features import Augmentation
from graft.config.load import explain_errors
from graft.data.augmentation import OPERATIONS, augment

NEUTRAL = {name: each.neutral for name, each in OPERATIONS.items()}
NEUTRAL |= {"fill_mode": "reflect", "interpolation": "bilinear"}


class Views(NamedTuple):
    """Views 1, 2, ... `number` of an augmentation, as a training run draws them."""

    number: int
    augmentation: Augmentation


def make_views(number: int, augmentation: Mapping[str, Any]) -> Views:
    """Make views from operations by name, as in params.yaml; those that are not named do nothing.

    Raises:
        ValueError: if `number` is not positive, or an operation or its value does not exist.

    >>> make_views(4, {"flip": "horizontal"}).augmentation.rotation
    0.0
    """
    if not number > 0:
        raise ValueError(f"expected a number of views of at least 1, received tta={number}")
    try:
        return Views(number, Augmentation.model_validate({**NEUTRAL, **augmentation}))
    except ValidationError as error:
        problems = explain_errors(error, Augmentation, ["augmentation"])
        raise ValueError("\n".join(["the augmentation is not valid:", *problems])) from None


def average_with_views(
    plain: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    keys: Sequence[str],
    views: Views,
) -> np.ndarray:
    """Average the scores of images and of their views.

    Args:
        plain: (n, m) scores of the images.
        score: from (n, H, W, channels) in [0, 255] to such scores.
        images: (n, H, W, channels) in [0, 255].
        keys: of the n images, from which the views are drawn.
        views: how many, and of which augmentation.

    Returns:
        (n, m) scores, of 1 + `views.number` images each.
    """
    total = plain
    for view in range(1, views.number + 1):
        total = total + score(augment(images, keys, [view] * len(keys), views.augmentation))
    return total / (1 + views.number)
