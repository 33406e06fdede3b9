"""Views: augmentations whose operations are registered by the names that params.yaml uses.

Each operation draws from a random stream of its own, a pure function of the image's key, the number of the
view and the operation's name: neither another operation nor another range changes its draws.

The operations that move are composed into one projective transform, so that pixels are interpolated
once; each alone equals Keras's layer of that name (RandomFlip, RandomRotation, ...), whose conventions for
centre, sign, fill mode and value range are kept. What is done to pixels can be done to cached features, too.

Keras is imported where it computes: the report draws views without it, see `graft.report.views`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np

from graft.config.features import Augmentation

Kind = Literal["pixels", "features"]
OF_MOVES = ("fill_mode", "interpolation")


@dataclass(frozen=True)
class Operation:
    """One operation of an augmentation.

    Attributes:
        draws: how many uniform numbers u in [0, 1) it draws for a view; of a batch, (draws, n).
        neutral: its value in params.yaml that does nothing; nothing is drawn then.
        moves: whether it moves pixels.
        apply: where it moves, (u, value, height, width) -> (n, 3, 3), matrices from output to input
            coordinates, x before y; else (images, u, value, mean, span) -> images, not yet clipped: `mean` of
            each channel, and `span` from the least to the largest value that they may have.
    """

    draws: int
    neutral: str | float
    moves: bool
    apply: Callable[..., Any]


OPERATIONS: dict[str, Operation] = {}  # in the order in which they are applied


def operation(draws: int, moves: bool, neutral: str | float = 0) -> Callable[..., Any]:
    """Register a function as the operation of its name; see `Operation`."""

    def register(apply: Callable[..., Any]) -> Callable[..., Any]:
        OPERATIONS[apply.__name__] = Operation(draws, neutral, moves, apply)
        return apply

    return register


@operation(draws=2, moves=True, neutral="none")
def flip(u: np.ndarray, axes: str, height: int, width: int) -> np.ndarray:
    """Mirror half of the images along each axis that `axes` names."""
    named = np.array([["horizontal" in axes], ["vertical" in axes]])
    x, y = np.where((u < 0.5) & named, -1.0, 1.0)
    return _about_centre(x, 0, 0, y, height, width)


@operation(draws=1, moves=True)
def rotation(u: np.ndarray, factor: float, height: int, width: int) -> np.ndarray:
    """Rotate by up to +- `factor` of a full turn."""
    angle = _around(u[0], factor) * 2 * np.pi
    cos, sin = np.cos(angle), np.sin(angle)
    return _about_centre(cos, -sin, sin, cos, height, width)


@operation(draws=1, moves=True)
def zoom(u: np.ndarray, factor: float, height: int, width: int) -> np.ndarray:
    """Show 1 +- `factor` of height and width."""
    window = 1 + _around(u[0], factor)
    return _about_centre(window, 0, 0, window, height, width)


@operation(draws=2, moves=True)
def translation(u: np.ndarray, factor: float, height: int, width: int) -> np.ndarray:
    """Shift by up to +- `factor` of the width and of the height."""
    x, y = -_around(u, factor)
    return _affine(1, 0, x * width, 0, 1, y * height)


@operation(draws=3, moves=True)
def crop(u: np.ndarray, factor: float, height: int, width: int) -> np.ndarray:
    """Scale up a window that is smaller by up to `factor`, anywhere in the image."""
    window = 1 - u[0] * factor
    x, y = u[1:] * (1 - window)
    return _affine(window, 0, x * (width - 1), 0, window, y * (height - 1))


@operation(draws=1, moves=False)
def brightness(images: Any, u: np.ndarray, factor: float, _: Any, span: Any) -> Any:
    """Shift all values by up to +- `factor` of their range."""
    return images + _column(_around(u[0], factor)) * span


@operation(draws=1, moves=False)
def contrast(images: Any, u: np.ndarray, factor: float, mean: Any, _: Any) -> Any:
    """Scale the distance to each channel's mean by 1 +- `factor`."""
    return (images - mean) * _column(1 + _around(u[0], factor)) + mean


def _around(u: np.ndarray, factor: float) -> np.ndarray:
    return (2 * u - 1) * factor


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).reshape(-1, 1, 1, 1)


def _affine(*elements: np.ndarray | float) -> np.ndarray:
    """Build (n, 3, 3) matrices from the elements of their first two rows."""
    return np.stack(np.broadcast_arrays(*elements, 0.0, 0.0, 1.0), axis=-1).reshape(-1, 3, 3)


def _about_centre(xx: Any, xy: Any, yx: Any, yy: Any, height: int, width: int) -> np.ndarray:
    x, y = (width - 1) / 2, (height - 1) / 2
    return _affine(xx, xy, x - x * xx - y * xy, yx, yy, y - x * yx - y * yy)


def effective(spec: Augmentation) -> dict[str, Any]:
    """Select what an augmentation does: the operations that are not neutral, and how moved pixels are found.

    So an operation or an option that is not used is in no fingerprint, and a new one voids no cache.
    """
    values = {name: getattr(spec, name) for name in OPERATIONS}
    done = {name: value for name, value in values.items() if value != OPERATIONS[name].neutral}
    moves = any(OPERATIONS[name].moves for name in done)
    return done | {name: getattr(spec, name) for name in OF_MOVES if moves}


def draw(key: str, view: int, name: str, n: int, kind: Kind = "pixels") -> np.ndarray:
    """Draw uniform numbers in [0, 1) that belong to one operation of one view: a Philox counter generator's.

    Args:
        key: of the image.
        view: 1, 2, ...; view 0 is the plain image and draws nothing.
        name: of the operation.
        n: how many.
        kind: what is augmented; pixels and features draw different numbers.

    Returns:
        (n,) float64.

    >>> draw("0" * 64, 1, "rotation", 2).round(3)
    array([0.043, 0.376])
    """
    digest = hashlib.sha256(f"{kind}/{key}/{view}/{name}".encode()).digest()
    philox = np.random.Philox(key=np.frombuffer(digest[:16], np.uint64))
    return np.random.Generator(philox).random(n)


def augment(images: np.ndarray, keys: Sequence[str], views: Sequence[int], spec: Augmentation) -> np.ndarray:
    """Augment a batch; a row's result does not depend on the other rows.

    Args:
        images: (n, H, W, channels), in [0, 255], any real dtype.
        keys: of the n images.
        views: n numbers of views, from 1.
        spec: the ranges of the operations.

    Returns:
        (n, H, W, channels) float32 in [0, 255].
    """
    return _apply(images, draw_batch(keys, views, spec, "pixels"), spec, (1, 2), limits=(0.0, 255.0))


def augment_features(
    features: np.ndarray, keys: Sequence[str], views: Sequence[int], spec: Augmentation
) -> np.ndarray:
    """Augment a batch of features as `augment` does images.

    Maps are moved as pixels are. Brightness and contrast follow FroFA (Bär et al. 2024, arXiv 2403.10519) in
    its default form: a feature's least and largest value, over positions and channels, take the place of 0
    and 255, and one number is drawn for the whole feature. What FroFA draws and scales per channel (cFroFA,
    c2FroFA) is not offered. Contrast is about the mean of each channel, as for pixels; of a vector, which
    FroFA does not treat, about the mean of its elements.

    Args:
        features: (n, h, w, channels) maps or (n, channels) vectors, any real dtype.
        keys: as in `augment`.
        views: n numbers from 1, such as 1 + epoch.
        spec: as in `augment`.

    Returns:
        float32 of the same shape; `features` itself where nothing is to be done.

    Raises:
        ValueError: if vectors are to be moved.
    """
    draws = draw_batch(keys, views, spec, "features")
    if not draws:
        return features
    moving = [f"{name} to {OPERATIONS[name].neutral}" for name in draws if OPERATIONS[name].moves]
    if moving and features.ndim != 4:
        raise ValueError(
            f"vectors have no positions to move, expected features of shape (n, h, w, channels), received "
            f"shape={features.shape}; set {', '.join(moving)}"
        )
    maps, axes = (features, (1, 2)) if features.ndim == 4 else (features[:, None, None], (3,))
    return _apply(maps, draws, spec, axes).reshape(features.shape)


def draw_batch(
    keys: Sequence[str], views: Sequence[int], spec: Augmentation, kind: Kind = "pixels"
) -> dict[str, np.ndarray]:
    """Draw for the operations that do something: name -> (draws, n), in the order of application."""
    rows = list(zip(keys, views, strict=True))
    return {
        name: np.stack([draw(*row, name, each.draws, kind) for row in rows], axis=1)
        for name, each in OPERATIONS.items()
        if getattr(spec, name) != each.neutral
    }


def compose_moves(
    draws: dict[str, np.ndarray], spec: Augmentation, size: tuple[int, int]
) -> np.ndarray | None:
    """Compose the operations that move into (n, 3, 3) matrices from output to input; None without one.

    Args:
        draws: as `draw_batch` gives them.
        spec: the ranges of the operations.
        size: height and width in pixels.
    """
    moving = [(name, u) for name, u in draws.items() if OPERATIONS[name].moves]
    matrices = [OPERATIONS[name].apply(u, getattr(spec, name), *size) for name, u in moving]
    return reduce(np.matmul, matrices) if matrices else None


def _apply(
    images: np.ndarray,
    draws: dict[str, np.ndarray],
    spec: Augmentation,
    axes: tuple[int, ...],
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """Move, then colour between `limits`: by default each image's least and largest value."""
    from keras import ops

    result = ops.cast(images, "float32")
    matrices = compose_moves(draws, spec, (images.shape[1], images.shape[2]))
    if matrices is not None:
        transforms = matrices.reshape(-1, 9)[:, :8].astype(np.float32)
        how = {option: getattr(spec, option) for option in OF_MOVES}
        result = ops.image.affine_transform(result, transforms, data_format="channels_last", **how)
    low, high = limits or (end(result, axis=(1, 2, 3), keepdims=True) for end in (ops.min, ops.max))
    for name, u in draws.items():
        if not OPERATIONS[name].moves:
            mean = ops.mean(result, axis=axes, keepdims=True)
            coloured = OPERATIONS[name].apply(result, u, getattr(spec, name), mean, high - low)
            result = ops.clip(coloured, low, high)
    return np.asarray(result)
