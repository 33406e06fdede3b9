"""A heat map of every chosen image for every method with a backbone, side by side."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from graft.data.images import decode, load
from graft.explain.gradcam import Explanation, gradcam
from graft.explain.models import Models
from graft.explain.overlay import draw_heat
from graft.utils.files import write_bytes, write_json
from graft.utils.progress import track

BATCH_SIZE = 8


class Explained(NamedTuple):
    """A method to explain.

    Attributes:
        model: a file with its deployable model.
        predicted: key -> the label that stands in its predictions, and that the heat map explains.
    """

    model: Path
    predicted: Mapping[str, str]


def explain(
    examples: Sequence[Mapping[str, Any]],
    images: Mapping[str, bytes],
    methods: Mapping[str, Explained],
    classes: Sequence[str],
    folder: Path,
) -> None:
    """Write ``<method>/<key>.png`` for each method and example, and ``index.json``.

    The models' scores differ a little from those of the predictions, which rest on features that were
    rounded; so what is explained is the label in the predictions, also where the model, about undecided,
    now predicts another.

    Args:
        examples: what `graft.explain.selection.choose_examples` gave.
        images: key -> encoded image.
        methods: name -> its model, of which one at a time is in memory, and what it predicted.
        classes: the labels in class order.
        folder: replaced. ``index.json`` holds ``methods`` and ``images``: the examples with their ``maps``,
            method -> ``class`` (the label), ``score`` (the probability that the model gives it, to 6
            decimals) and ``file``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    maps: dict[str, dict[str, Any]] = {example["key"]: {} for example in examples}
    models = Models()
    for method, (path, predicted) in methods.items():
        (folder / method).mkdir(parents=True)
        model = models.load(path)
        numbers = {key: classes.index(predicted[key]) for key in maps}
        for key, pixels, found in track(_explain(model, images, numbers), f"explain {method}", len(maps)):
            file = f"{method}/{key}.png"
            write_bytes(draw_heat(pixels, found.heat), folder / file)
            maps[key][method] = {"class": predicted[key], "score": round(found.score, 6), "file": file}
    index = [{**example, "maps": maps[example["key"]]} for example in examples]
    write_json({"methods": list(methods), "images": index}, folder / "index.json")


def _explain(
    model: keras.Model, images: Mapping[str, bytes], numbers: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray, Explanation]]:
    """Yield key, pixels and explanation, computed in batches: three times as fast as one by one."""
    size, ordered = model.input_shape[1], list(numbers)
    for keys in [ordered[i : i + BATCH_SIZE] for i in range(0, len(ordered), BATCH_SIZE)]:
        decoded = [decode(images[key]) for key in keys]
        pixels = np.stack([load(images[key], size) for key in keys]).astype(np.float32)
        found = gradcam(model, pixels, [numbers[key] for key in keys])
        yield from zip(keys, decoded, found, strict=True)
