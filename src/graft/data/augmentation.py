"""Views: augmentations whose parameters are a pure function of (key, view, augmentation).

The geometric operations are composed into one projective transform an image, so that pixels are
interpolated once; each alone equals Keras's layer of that name (RandomFlip, RandomRotation, ...),
whose conventions for centre, sign, fill mode and value range are kept. What is done to pixels can
be done to cached features, too.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from graft.config.features import GEOMETRIC, Augmentation

DRAWS = 11


def draw(key: str, view: int, spec: Augmentation, of: str = "") -> np.ndarray:
    """Eleven uniform numbers in [0, 1) that belong to one view, from a Philox counter generator.

    Args:
        key: the image's key.
        view: 1, 2, ...; view 0 is the plain image and draws nothing.
        spec: the augmentation; another one draws other numbers.
        of: what is augmented, ``feature/`` or (pixels) nothing, so that both may have one spec.

    Returns:
        (11,) float64.
    """
    digest = hashlib.sha256(f"{of}{key}/{view}/{spec.model_dump_json()}".encode()).digest()
    philox = np.random.Philox(key=np.frombuffer(digest[:16], np.uint64))
    return np.random.Generator(philox).random(DRAWS)


def augment(images: np.ndarray, keys: Sequence[str], views: Sequence[int], spec: Augmentation) -> np.ndarray:
    """Augment a batch; a row's result does not depend on the other rows.

    Args:
        images: (n, H, W, channels), in [0, 255], any real dtype.
        keys: n keys.
        views: n numbers of views, from 1.
        spec: the ranges of the operations.

    Returns:
        (n, H, W, channels) float32 in [0, 255].
    """
    u = np.stack([draw(key, view, spec) for key, view in zip(keys, views, strict=True)])
    moved = _move(tf.cast(images, tf.float32), u, spec)
    result: np.ndarray = _colour(moved, u, spec, 0.0, 255.0, channel=(1, 2)).numpy()
    return result


def augment_features(
    features: np.ndarray, keys: Sequence[str], views: Sequence[int], spec: Augmentation
) -> np.ndarray:
    """Augment a batch of features; a row's result does not depend on the other rows.

    Maps are moved as pixels are. Brightness and contrast follow FroFA (Bär et al. 2024, arXiv
    2403.10519) in its default form: a feature's least and largest value, over positions and channels,
    take the place of 0 and 255, one number is drawn for the whole feature, and the result is clipped to
    that range. What FroFA draws and scales per channel (cFroFA, c2FroFA) is not offered. Contrast is
    about the mean of each channel, as for pixels; of a vector, which FroFA does not treat, about the
    mean of its elements.

    Args:
        features: (n, h, w, channels) maps or (n, channels) vectors, any real dtype.
        keys: n keys.
        views: n numbers from 1, such as 1 + epoch.
        spec: the ranges of the operations. Where all are nothing, nothing is drawn.

    Returns:
        float32 of the same shape; `features` itself where that is float32 and nothing is to be done.

    Raises:
        ValueError: if vectors are to be moved.
    """
    moves = any(getattr(spec, operation) != nothing for operation, nothing in GEOMETRIC.items())
    if not (moves or spec.brightness or spec.contrast):
        return np.asarray(features, np.float32)
    if moves and features.ndim != 4:
        raise ValueError(
            f"vectors have no positions to move, expected features of shape (n, h, w, channels), received "
            f"shape={features.shape}; set {', '.join(GEOMETRIC)} to nothing"
        )
    u = np.stack([draw(key, view, spec, "feature/") for key, view in zip(keys, views, strict=True)])
    maps = tf.cast(features if features.ndim == 4 else features[:, None, None], tf.float32)
    moved = _move(maps, u, spec) if moves else maps
    low, high = (reduce(moved, axis=(1, 2, 3), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    channel = (1, 2) if features.ndim == 4 else (3,)
    result: np.ndarray = _colour(moved, u, spec, low.numpy(), high.numpy(), channel).numpy()
    return result.reshape(features.shape)


def _move(images: tf.Tensor, u: np.ndarray, spec: Augmentation) -> tf.Tensor:
    height, width = images.shape[1:3]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.constant(_matrices(u, spec, height, width), tf.float32),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation=spec.interpolation.upper(),
        fill_mode=spec.fill_mode.upper(),
    )


def _around(u: np.ndarray, factor: float) -> np.ndarray:
    return (2 * u - 1) * factor


def _matrices(u: np.ndarray, spec: Augmentation, height: int, width: int) -> np.ndarray:
    """(n, 8): rows of the transforms from output to input coordinates, x before y."""
    n = len(u)
    one, zero = np.ones(n), np.zeros(n)
    cx, cy = (width - 1) / 2, (height - 1) / 2

    flip_x = np.where("horizontal" in spec.flip, np.where(u[:, 0] < 0.5, -1.0, 1.0), one)
    flip_y = np.where("vertical" in spec.flip, np.where(u[:, 1] < 0.5, -1.0, 1.0), one)
    angle = _around(u[:, 2], spec.rotation) * 2 * np.pi
    zoom = 1 + _around(u[:, 3], spec.zoom)
    shift_x, shift_y = _around(u[:, 4], spec.translation) * width, _around(u[:, 5], spec.translation) * height
    window = 1 - u[:, 6] * spec.crop
    corner_x, corner_y = u[:, 7] * (1 - window) * (width - 1), u[:, 8] * (1 - window) * (height - 1)

    flips = _affine(flip_x, zero, cx * (1 - flip_x), zero, flip_y, cy * (1 - flip_y))
    cos, sin = np.cos(angle), np.sin(angle)
    rotations = _affine(cos, -sin, cx - cx * cos + cy * sin, sin, cos, cy - cx * sin - cy * cos)
    zooms = _affine(zoom, zero, cx * (1 - zoom), zero, zoom, cy * (1 - zoom))
    shifts = _affine(one, zero, -shift_x, zero, one, -shift_y)
    crops = _affine(window, zero, corner_x, zero, window, corner_y)
    composed: np.ndarray = flips @ rotations @ zooms @ shifts @ crops
    return composed.reshape(n, 9)[:, :8]


def _affine(*elements: np.ndarray) -> np.ndarray:
    """(n, 3, 3) from the six varying elements of the first two rows."""
    n = len(elements[0])
    rows = np.stack([*elements, np.zeros(n), np.zeros(n), np.ones(n)], axis=1)
    return rows.reshape(n, 3, 3)


def _colour(
    images: tf.Tensor,
    u: np.ndarray,
    spec: Augmentation,
    low: float | np.ndarray,
    high: float | np.ndarray,
    channel: tuple[int, ...],
) -> tf.Tensor:
    """Brightness and contrast between `low` and `high`; `channel`: the axes whose mean contrast keeps."""
    if spec.brightness:
        shift = _column(_around(u[:, 9], spec.brightness)) * (high - low)
        images = tf.clip_by_value(images + tf.constant(shift, tf.float32), low, high)
    if spec.contrast:
        mean = tf.reduce_mean(images, axis=channel, keepdims=True)
        factor = tf.constant(_column(1 + _around(u[:, 10], spec.contrast)), tf.float32)
        images = tf.clip_by_value((images - mean) * factor + mean, low, high)
    return images


def _column(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, 1, 1, 1)
