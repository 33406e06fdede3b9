"""The measurements in params.yaml: `metrics`."""

from typing import Annotated

from pydantic import Field

from graft.config.types import Block, Count, Number


class Metrics(Block):
    confidence: Annotated[Number, Field(gt=0, lt=1)]
    calibration_bins: Count
