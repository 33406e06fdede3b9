"""The features in params.yaml: `backbones`, `weights`, `features`, `augmentation`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from graft.config.types import Below1, Block, Count, Fraction, Natural, Positive

Precision = Literal["float32", "bfloat16"]
RANDOM, BUNDLED, IMAGENET = "random", "bundled", "imagenet"
HAVE_BUNDLED = {"mobilenet_v2": "MobileNetV2"}  # backbone -> application


class BackboneRow(Block):
    """A row of `backbones`."""

    application: str
    preprocessing: str
    layer: str | None
    pooling: Literal["none", "avg", "max"]
    image_size: Annotated[int, Field(ge=16, le=2048, strict=True)]
    batch_size: Count


class Features(Block):
    views: Natural
    precision: Precision
    memory_limit: Positive


class Augmentation(Block):
    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"]
    rotation: Fraction
    zoom: Below1
    translation: Fraction
    crop: Below1
    brightness: Fraction
    contrast: Fraction
    fill_mode: Literal["reflect", "wrap", "nearest", "constant"]
    interpolation: Literal["bilinear", "nearest"]


# The operations that move pixels, and what each is when it does nothing.
GEOMETRIC = {"flip": "none", "rotation": 0, "zoom": 0, "translation": 0, "crop": 0}


def check_weights(weights: str, application: str) -> None:
    """Check that graft comes with an application's weights, where `weights` asks for those.

    Raises:
        ValueError: if it does not.
    """
    if weights == BUNDLED and application not in HAVE_BUNDLED.values():
        raise ValueError(
            f"weights=bundled: expected a backbone that has bundled weights ({', '.join(HAVE_BUNDLED)}), "
            f"received application={application!r}; set backbone to such a one, or weights to imagenet "
            "(downloads), random, or the path of a weights file"
        )


def weights_name(weights: str) -> str:
    """Name the weights for results: ``random``, ``bundled``, ``imagenet`` or a file's name.

    >>> weights_name("/home/me/vgg16.h5")
    'vgg16.h5'
    """
    return weights if weights in (RANDOM, BUNDLED, IMAGENET) else Path(weights).name


def backbone_facts(backbone: str, weights: str) -> dict[str, str | bool]:
    """Describe the backbone that results rest on."""
    return {"backbone": backbone, "weights": weights_name(weights), "pretrained": weights != RANDOM}
