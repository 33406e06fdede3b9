"""The ways to explain what a model says of one image: each gives a PNG and what it means, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graft.explain.occlusion import Score, occlude
from graft.explain.panel import draw_beside, draw_tiles

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Subject:
    """An image to explain, the model, and how closely to look.

    Attributes:
        model: its file.
        score: from images (size, size, channels), uint8, to the score of the class for each.
        pixels: the image as the model takes it: (size, size, channels) uint8.
        shown: the image as a person sees it: (H, W, 3) uint8.
        number: of the class.
        label: of the class.
        patch: side of the square of `by_occlusion`, as a share of the image's.
        samples: images that LIME and SHAP score.
        seed: of what these hide.
        layer: of `by_layers`; None: the one that Grad-CAM weighs.
    """

    model: Path
    score: Score
    pixels: np.ndarray
    shown: np.ndarray
    number: int
    label: str
    patch: float = 0.2
    samples: int = 500
    seed: int = 0
    layer: str | None = None


def by_gradcam(subject: Subject) -> tuple[bytes, str]:
    """Weigh the last feature map by the derivatives of the class's score."""
    from graft.explain.gradcam import gradcam

    model = _load_keras(subject.model, "gradcam")
    try:
        found = gradcam(model, subject.pixels[None].astype(np.float32), [subject.number])[0]
    except ValueError as error:
        raise ValueError(f"{error}; --how occlusion explains any model") from None
    height, width = found.heat.shape
    where = "orange: the places" if found.heat.any() else "no place is orange, for there is none"
    return draw_beside(subject.shown, found.heat), (
        f"{where} of the last feature map ({height} x {width}) with values that speak for {subject.label}"
    )


def by_occlusion(subject: Subject) -> tuple[bytes, str]:
    """Cover the image square by square and see how far the score falls."""
    heat = occlude(subject.score, subject.pixels, subject.patch)
    lowest, highest = (100 * max(each, 0) for each in (-heat.min(), heat.max()))
    return draw_beside(subject.shown, heat), (
        f"orange: where squares, {subject.patch:.0%} of the image wide, lower the score of {subject.label}, "
        f"on average by up to {highest:.1f} points; blue: where they raise it, by up to {lowest:.1f}"
    )


def by_lime(subject: Subject) -> tuple[bytes, str]:
    """Fit a linear model to what hiding superpixels does."""
    from graft.explain.superpixels import explain_by_lime

    found = explain_by_lime(subject.score, subject.pixels, subject.samples, subject.seed)
    return draw_beside(subject.shown, found.heat), (
        f"orange: those of {found.n_superpixels} superpixels that speak for {subject.label}, blue: against, "
        f"in LIME's linear model, which fits the scores with R² = {found.quality:.2f} (1: it does, 0: not)"
    )


def by_shap(subject: Subject) -> tuple[bytes, str]:
    """Share the score out to superpixels, as Shapley values."""
    from graft.explain.superpixels import explain_by_shap

    found = explain_by_shap(subject.score, subject.pixels, subject.samples, subject.seed)
    return draw_beside(subject.shown, found.heat), (
        f"orange: those of {found.n_superpixels} superpixels that raise the score of {subject.label}, blue: "
        f"those that lower it; together {100 * found.quality:+.1f} points, from the image hidden to it shown"
    )


def by_layers(subject: Subject) -> tuple[bytes, str]:
    """Show what the channels of a layer give."""
    from graft.explain.feature_maps import read_feature_maps

    found = read_feature_maps(_load_keras(subject.model, "layers"), subject.pixels, subject.layer)
    height, width, n = found.maps.shape
    return draw_tiles(found.maps, list(map(str, found.channels))), (
        f"the {n} channels of {found.layer}, of {found.n_channels:,}, with the highest mean, by number: "
        f"{height} x {width} places, white where a channel found most; no class has a part in it"
    )


WAYS: dict[str, Callable[[Subject], tuple[bytes, str]]] = {
    "gradcam": by_gradcam,
    "occlusion": by_occlusion,
    "lime": by_lime,
    "shap": by_shap,
    "layers": by_layers,
}


def explain_image(subject: Subject, how: str) -> tuple[bytes, str]:
    """Explain an image in one of `WAYS`: a PNG, and what it shows in words.

    Raises:
        ValueError: if the model cannot be explained so, or a package is not installed.
    """
    try:
        return WAYS[how](subject)
    except ModuleNotFoundError as error:
        if how not in ("lime", "shap"):
            raise
        raise ValueError(
            f"--how {how} needs {error.name}, which is not installed: pip install 'graft[explain]'"
        ) from None


def _load_keras(path: Path, how: str) -> "keras.Model":
    if path.suffix != ".keras":
        raise ValueError(
            f"--how {how} looks into a model of Keras, received {path}: give a .keras file, or take "
            "--how occlusion, which needs the scores alone"
        )
    from graft.models.serialization import load_model

    return load_model(path)
