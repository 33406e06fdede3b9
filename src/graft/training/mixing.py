"""MixUp and CutMix: each row of a batch mixed with another one of the same batch."""

from typing import Literal

import numpy as np


def mix(
    batch: np.ndarray, kind: Literal["mixup", "cutmix"], alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mix each row of a batch with a partner.

    MixUp (arXiv:1710.09412) blends the two. CutMix (arXiv:1905.04899) pastes a window of the
    partner, of the same place and with its centre anywhere; what lies outside is cut off. A pixel
    belongs to the window where its centre does.

    Args:
        batch: (n, h, w, c) pixels or feature maps, float32; for MixUp of any shape (n, ...).
        kind: which of the two.
        alpha: the share that a row keeps is drawn from Beta(alpha, alpha), for each row.
        rng: what is drawn from it depends on n alone.

    Returns:
        The mixed batch, float32; the row numbers (n,) of the partners; and the share (n,), float32,
        of each row that is its own: for CutMix that of its pixels.

    Raises:
        ValueError: if CutMix is given anything but maps.
    """
    n = len(batch)
    partners, shares, centres = rng.permutation(n), rng.beta(alpha, alpha, n), rng.random((2, n))
    if kind == "mixup":
        shares = shares.astype(np.float32)
        return blend(batch, partners, shares), partners, shares
    if batch.ndim != 4:
        raise ValueError(
            f"mix=cutmix expects maps (n, h, w, c) to cut windows out of, received shape={batch.shape}; "
            "set mix to mixup, or pooling of the backbone to none"
        )
    inside_y, inside_x = (
        np.abs((np.arange(size) + 0.5) / size - centre[:, None]) < np.sqrt(1 - shares)[:, None] / 2
        for size, centre in zip(batch.shape[1:3], centres, strict=True)
    )
    window = inside_y[:, :, None] & inside_x[:, None, :]
    mixed = np.where(window[..., None], batch[partners], batch)
    return mixed, partners, 1 - window.mean((1, 2), dtype=np.float32)


def blend(values: np.ndarray, partners: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(n, ...): each row's share of itself, and the rest of its partner."""
    own = shares.reshape(-1, *[1] * (values.ndim - 1))
    blended: np.ndarray = own * values + (1 - own) * values[partners]
    return blended
