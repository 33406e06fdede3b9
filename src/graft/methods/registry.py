"""The methods, in the order in which results show them.

Whatever lists methods iterates over `METHODS`. Nothing of graft is imported here, so that code which only
lists them depends neither on their schemas nor on what trains them.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

# The colours of Okabe and Ito (2008) that have a contrast of 3:1 with both a white and a dark page.
BLUE, GREEN, VERMILLION, PURPLE, GRAY = "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#808080"
BROWN, PINK = "#a6761d", "#e7298a"  # of ColorBrewer's Dark2, with the same contrast
Dash = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Method:
    """A way of transfer.

    Attributes:
        name: of its module here, its block of params.yaml and its files.
        label: what charts call it.
        schema: the class of `graft.config.training` that describes its block.
        features: the cached features it needs: ``plain``, ``views``, both or none.
        has_backbone: whether it rests on a pre-trained backbone.
        colour, marker, dash: how charts draw it.
    """

    name: str
    label: str
    schema: str
    features: tuple[str, ...]
    has_backbone: bool
    colour: str
    marker: str
    dash: Dash

    def load_schema(self) -> Any:
        """Import the class that describes its block of params.yaml."""
        return getattr(import_module("graft.config.training"), self.schema)

    def load(self) -> ModuleType:
        """Import the module that trains it."""
        return import_module(f"graft.methods.{self.name}")


METHODS = {
    method.name: method
    for method in (
        Method("linear", "linear", "Linear", ("plain",), True, GRAY, "P", (0, (3, 1, 1, 1))),
        Method("two_stage", "two-stage", "CachedMethod", ("plain",), True, BLUE, "o", "-"),
        Method(
            "two_stage_views", "two-stage, views", "CachedMethod", ("plain", "views"), True, GREEN, "s",
            (0, (5, 1.5)),
        ),
        Method("inline", "inline", "Inline", (), True, VERMILLION, "^", (0, (1.5, 1.2))),
        Method("scratch", "scratch", "Scratch", (), False, PURPLE, "D", (0, (6, 1.5, 1.5, 1.5))),
        Method("distilled", "distilled", "Distilled", (), False, PINK, "v", (0, (2, 1, 0.5, 1))),
        Method("ensemble", "ensemble", "Ensemble", ("plain", "views"), True, BROWN, "*", (0, (8, 1, 2, 1))),
    )
}  # fmt: skip
