"""The features in params.yaml: `backbones`, `weights`, `features`, `augmentation`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from graft.config.types import Below1, Block, Count, Fraction, Natural, Positive

Precision = Literal["float32", "bfloat16"]
FeaturePrecision = Literal["float32", "bfloat16", "int8"]
EngineName = Literal["keras", "openvino"]
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
    engine: EngineName
    precision: FeaturePrecision
    memory_limit: Positive

    @model_validator(mode="after")
    def _precision_of_the_engine(self) -> "Features":
        check_precision(self.engine, self.precision)
        return self


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


def check_precision(engine: EngineName, precision: FeaturePrecision) -> None:
    """Check that an engine computes in a precision.

    Raises:
        ValueError: if it does not.
    """
    if (engine, precision) == ("keras", "int8"):
        raise ValueError(
            "features.precision=int8: expected float32 or bfloat16 with features.engine=keras; "
            "set features.engine to openvino, or another precision"
        )


def check_installed(engine: EngineName) -> None:
    """Check that the packages of an engine are installed, without importing them.

    Raises:
        ValueError: if one is not.
    """
    for package in ("openvino", "nncf") if engine == "openvino" else ():
        if not find_spec(package):
            raise ValueError(
                f"features.engine={engine} needs {package}, which is not installed: "
                f"pip install 'graft[{engine}]', or set features.engine to keras"
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
