"""Models and images -> heat maps of classes, drawn."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from graft.data.images import decode, load
from graft.explain.cache import HeatMap
from graft.explain.gradcam import gradcam
from graft.explain.overlay import draw_heat
from graft.models.parts import Models

BATCH_SIZE = 8  # three times as fast as one by one


def draw(
    wanted: Mapping[Path, Mapping[str, int]], images: Mapping[str, bytes]
) -> Iterator[tuple[Path, str, HeatMap]]:
    """Yield model, key and heat map, the same whatever else is wanted.

    Args:
        wanted: file of a deployable model -> key -> the class to explain. One model at a time is in memory.
        images: key -> encoded image.
    """
    models = Models()
    for path, numbers in wanted.items():
        model, ordered = models.load(path), list(numbers)
        size = model.input_shape[1]
        for keys in [ordered[i : i + BATCH_SIZE] for i in range(0, len(ordered), BATCH_SIZE)]:
            pixels = np.stack([load(images[key], size) for key in keys]).astype(np.float32)
            full = np.resize(pixels, (BATCH_SIZE, *pixels.shape[1:]))  # each row alike in one shape of batch
            found = gradcam(model, full, np.resize([numbers[key] for key in keys], BATCH_SIZE).tolist())
            for key, one in zip(keys, found, strict=False):
                yield path, key, HeatMap(round(one.score, 6), draw_heat(decode(images[key]), one.heat))
