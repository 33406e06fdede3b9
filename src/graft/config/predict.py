"""The scores of trained models in params.yaml: `predict`."""

from typing import Literal

from graft.config.types import Block, Natural

Calibration = Literal["none", "temperature"]


class Predict(Block):
    tta: Natural
    calibration: Calibration
