"""The choice of an engine, and of what it is calibrated with."""

from pathlib import Path

import pandas as pd

from graft.config.features import EngineName, FeaturePrecision, Precision, check_installed, check_precision
from graft.features.engines.keras import KERAS, Engine
from graft.features.engines.openvino import OpenVino

CALIBRATED = 128  # images at most


def choose_engine(
    name: EngineName, precision: FeaturePrecision, images: Path, manifest: pd.DataFrame
) -> tuple[Engine, Precision]:
    """Choose what runs a backbone.

    Args:
        name: in params.yaml.
        precision: that it is to compute in.
        images: `data/images`.
        manifest: int8 takes its ranges from the first training images by key: keys are digests, so it is a
            random choice, and the same wherever images and split are.

    Returns:
        The engine, and what the Keras model that it runs is to be built in.

    Raises:
        ValueError: if it does not compute in this precision, or is not installed.
    """
    check_precision(name, precision)
    check_installed(name)
    if precision != "int8" and name == "keras":
        return KERAS, precision
    keys = sorted(manifest.loc[manifest["split"] == "train", "key"])[:CALIBRATED]
    return OpenVino(images, tuple(keys) if precision == "int8" else ()), "float32"
