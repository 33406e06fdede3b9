"""The report in params.yaml: `explain`."""

from graft.config.types import Block, Natural


class Explain(Block):
    mistakes: Natural
    hesitant: Natural
