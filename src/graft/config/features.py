"""The features in params.yaml: `backbones`, `weights`, `features`, `augmentation`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from graft.config.types import Below1, Block, Count, Fraction, Natural, Positive
from graft.utils.files import digest

Precision = Literal["float32", "bfloat16"]
FeaturePrecision = Literal["float32", "bfloat16", "int8"]
EngineName = Literal["keras", "openvino"]
Library = Literal["applications", "keras_hub", "file"]
RANDOM, BUNDLED, IMAGENET, FILE = "random", "bundled", "imagenet", "file"
HAVE_BUNDLED = {"mobilenet_v2": "MobileNetV2"}  # backbone -> application


class BackboneRow(Block):
    """A row of `backbones`; what has a default may be left out."""

    library: Library = "applications"
    application: str
    preprocessing: str
    layer: str | None
    pooling: Literal["none", "cls", "avg", "max"]
    image_size: Annotated[int, Field(ge=16, le=2048, strict=True)]
    batch_size: Count
    sha256: str | None = None

    @model_validator(mode="after")
    def _the_library_has_it(self) -> "BackboneRow":
        if (self.library == "file") != bool(self.sha256):
            raise ValueError(
                f"library={self.library} with sha256={self.sha256}: expected the sha256 of the file "
                "`application` with library=file, as `sha256sum` prints it, and none otherwise"
            )
        if self.library == "keras_hub" and self.layer is not None:
            raise ValueError(
                f"layer={self.layer!r} with library=keras_hub: expected null, since KerasHub can neither "
                "save nor load a part of its models"
            )
        return self

    def facts(self) -> dict[str, Any]:
        """All that determines a feature, by name, without defaults and without the folder of a file."""
        values = self.model_dump(exclude_defaults=True)
        return values | ({"application": Path(self.application).name} if self.library == "file" else {})


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


def check_weights(weights: str, row: BackboneRow) -> None:
    """Check that a row's library has such weights, and that it is installed, without importing it.

    Raises:
        ValueError: if it does not have them, or is not installed.
    """
    if (weights == FILE) != (row.library == "file"):
        raise ValueError(
            f"weights={weights}: a backbone of library=file has its weights in its file, and no other has; "
            f"received library={row.library}, application={row.application!r}; set weights to "
            + ("file" if row.library == "file" else "imagenet (downloads), random, or a path")
        )
    if weights == BUNDLED and row.application not in HAVE_BUNDLED.values():
        raise ValueError(
            f"weights=bundled: expected a backbone that has bundled weights ({', '.join(HAVE_BUNDLED)}), "
            f"received application={row.application!r}; set backbone to such a one, or weights to imagenet "
            "(downloads), random, or the path of a weights file"
        )
    if row.library == "keras_hub" and not find_spec("keras_hub"):
        raise ValueError(
            f"library=keras_hub, of application={row.application!r}, needs keras-hub, which is not "
            "installed: pip install 'graft[hub]', or set backbone to another row"
        )


def check_file(row: BackboneRow, root: Path) -> None:
    """Check that the file of a row is the one that its sha256 is of: DVC sees the row, and not the file.

    Args:
        row: with another library than ``file``, nothing is checked.
        root: that ``row.application`` is relative to.

    Raises:
        ValueError: if it is not, or there is none.
    """
    if row.library != "file":
        return
    file = root / row.application
    if not (file.is_file() and file.suffix == ".keras"):
        raise ValueError(f"application={row.application}: expected the path of a .keras file; it is none")
    if (found := digest(file)) != row.sha256:
        raise ValueError(
            f"application={row.application} has sha256={found}, expected sha256={row.sha256}: if the file "
            "is the right one, put its sha256 into the row, and all that rests on it is computed again"
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
    """Name the weights for results: ``random``, ``bundled``, ``imagenet``, ``file`` or a path's last part.

    >>> weights_name("/home/me/vgg16.h5")
    'vgg16.h5'
    """
    return weights if weights in (RANDOM, BUNDLED, IMAGENET, FILE) else Path(weights).name


def backbone_facts(backbone: str, weights: str) -> dict[str, str | bool]:
    """Describe the backbone that results rest on."""
    return {"backbone": backbone, "weights": weights_name(weights), "pretrained": weights != RANDOM}
