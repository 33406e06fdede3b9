"""A heat map of every chosen image for every method with a backbone, side by side."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graft.explain.cache import Cache, HeatMap, drop_oldest
from graft.utils.files import write_bytes, write_json
from graft.utils.progress import track


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
    known: Path,
) -> None:
    """Write ``<method>/<key>.png`` for each method and example, and ``index.json``.

    The models' scores differ a little from those of the predictions, which rest on features that were
    rounded; so what is explained is the label in the predictions, also where the model, about undecided,
    now predicts another.

    Args:
        examples: what `graft.explain.selection.choose_examples` gave.
        images: key -> encoded image.
        methods: name -> its model, and what it predicted.
        classes: the labels in class order.
        folder: replaced. ``index.json`` holds ``methods`` and ``images``: the examples with their ``maps``,
            method -> ``class`` (the label), ``score`` (the probability that the model gives it, to 6
            decimals) and ``file``.
        known: the folder of a `graft.explain.cache.Cache`; where all is there, Keras is not imported.
    """
    keys = [example["key"] for example in examples]
    numbers = {m: {key: classes.index(one.predicted[key]) for key in keys} for m, one in methods.items()}
    maps = _find({methods[m].model: wanted for m, wanted in numbers.items()}, images, known)
    shutil.rmtree(folder, ignore_errors=True)
    index = [{**example, "maps": {}} for example in examples]
    for method, (model, predicted) in methods.items():
        (folder / method).mkdir(parents=True)
        for entry in index:
            key, file = entry["key"], f"{method}/{entry['key']}.png"
            score, image = maps[model, key]
            write_bytes(image, folder / file)
            entry["maps"][method] = {"class": predicted[key], "score": score, "file": file}
    write_json({"methods": list(methods), "images": index}, folder / "index.json")


def _find(
    wanted: Mapping[Path, Mapping[str, int]], images: Mapping[str, bytes], known: Path
) -> dict[tuple[Path, str], HeatMap]:
    """Look up the heat map of each class for each model and key; draw those that are not known."""
    caches = {path: Cache(known, path) for path in wanted}
    found: dict[tuple[Path, str], HeatMap] = {}
    missing: dict[Path, dict[str, int]] = {}
    for path, key, number in ((path, *each) for path, numbers in wanted.items() for each in numbers.items()):
        if heat_map := caches[path].read(key, number):
            found[path, key] = heat_map
        else:
            missing.setdefault(path, {})[key] = number
    if missing:
        from graft.explain.drawing import draw  # with Keras

        for path, key, heat_map in track(draw(missing, images), "explain", sum(map(len, missing.values()))):
            caches[path].write(key, wanted[path][key], heat_map)
            found[path, key] = heat_map
        drop_oldest(known)
    return found
