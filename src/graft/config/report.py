"""What params.yaml says of the report: `explain`."""

from graft.config.types import Block, Natural


class Explain(Block):
    mistakes: Natural
    hesitant: Natural
