"""A heat map of every chosen image for every method with a backbone, side by side."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from graft.data.images import decode
from graft.explain.gradcam import Explanation, gradcam
from graft.explain.overlay import draw_heat
from graft.utils.files import write_json
from graft.utils.progress import track

BATCH_SIZE = 8
Example = Mapping[str, Any]


def explain(
    examples: Sequence[Example],
    images: Mapping[str, bytes],
    models: Mapping[str, Path],
    answers: Mapping[str, Mapping[str, str]],
    classes: Sequence[str],
    folder: Path,
) -> None:
    """Write ``<method>/<key>.png`` for each method and example, and ``index.json``.

    The models get the decoded images as they are, as users give them. Their scores differ a little from
    those of the predictions, which rest on features that were rounded; so what is explained is
    the answer in the predictions, also where the model, about undecided, now gives another.

    Args:
        examples: what `graft.explain.selection.choose_examples` gave.
        images: key -> encoded image, of the examples.
        models: method -> a deployable model; one at a time is in memory.
        answers: method -> key -> the label that it answered, and that the map explains.
        classes: the labels in class order.
        folder: replaced. ``index.json`` holds ``methods`` and ``images``: the examples with their ``maps``,
            method -> ``class`` (the answer), ``score`` (the probability that the model gives it, to 6
            decimals) and ``file``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    maps: dict[str, dict[str, Any]] = {example["key"]: {} for example in examples}
    for method, path in models.items():
        (folder / method).mkdir(parents=True)
        model = keras.saving.load_model(path)
        numbers = {key: classes.index(answers[method][key]) for key in maps}
        for key, photo, found in track(_explain(model, images, numbers), f"explain {method}", len(maps)):
            file = f"{method}/{key}.png"
            (folder / file).write_bytes(draw_heat(photo, found.heat))
            answer = {"class": classes[found.answer], "score": round(found.score, 6)}
            maps[key][method] = answer | {"file": file}
        del model
        keras.utils.clear_session()  # also frees the model's memory
    index = [{**example, "maps": maps[example["key"]]} for example in examples]
    write_json({"methods": list(models), "images": index}, folder / "index.json")


def _explain(
    model: keras.Model, images: Mapping[str, bytes], numbers: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray, Explanation]]:
    """Each key with its photo and explanation, computed in batches: three times as fast as one by one."""
    # The model's own resizing, which then leaves the pixels as they are, gives all of them one size.
    resize, ordered = model.get_layer("resizing"), list(numbers)
    for keys in [ordered[i : i + BATCH_SIZE] for i in range(0, len(ordered), BATCH_SIZE)]:
        photos = [decode(images[key]) for key in keys]
        pixels = np.concatenate([resize(photo[None].astype(np.float32)) for photo in photos])
        found = gradcam(model, pixels, [numbers[key] for key in keys])
        yield from zip(keys, photos, found, strict=True)
