"""A heat map of every chosen image for every method with a backbone, side by side."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from graft.gradcam import gradcam
from graft.images import decode
from graft.metrics import write_json
from graft.overlay import draw_heat
from graft.progress import track

Example = Mapping[str, Any]


def explain(
    examples: Sequence[Example],
    images: Mapping[str, bytes],
    models: Mapping[str, Path],
    classes: Sequence[str],
    folder: Path,
) -> None:
    """Write ``<method>/<key>.png`` for each method and example, and ``index.json``.

    The models get the decoded images as they are, as users give them. So an answer may differ from
    the one in the predictions, which rest on features that were rounded, where the two scores
    are about equal.

    Args:
        examples: what `graft.examples.choose_examples` gave.
        images: key -> encoded image.
        models: method -> a deployable model; one at a time is in memory.
        classes: the labels in class order.
        folder: replaced. ``index.json`` holds ``methods`` and ``images``: the examples with their ``maps``,
            method -> ``class`` (the model's answer, which the map explains), ``score`` (its probability, to
            6 decimals) and ``file``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    maps: dict[str, dict[str, Any]] = {example["key"]: {} for example in examples}
    for method, path in models.items():
        (folder / method).mkdir(parents=True)
        model = keras.saving.load_model(path)
        for key in track(maps, f"explain {method}", len(maps)):
            photo, file = decode(images[key]), f"{method}/{key}.png"
            heat, answer, score = gradcam(model, photo)
            (folder / file).write_bytes(draw_heat(photo, heat))
            maps[key][method] = {"class": classes[answer], "score": round(score, 6), "file": file}
        del model
        keras.utils.clear_session()  # also frees the model's memory
    index = [{**example, "maps": maps[example["key"]]} for example in examples]
    write_json({"methods": list(models), "images": index}, folder / "index.json")
