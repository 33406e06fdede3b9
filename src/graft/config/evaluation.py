"""The measurements in params.yaml: `metrics`."""

from graft.config.types import Block, Count, ProperFraction


class Metrics(Block):
    confidence: ProperFraction
    calibration_bins: Count
