"""Test-time augmentation of trained methods: their model files on the views of images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from graft.data.decoding import decode_keys
from graft.data.images import COLOR_MODES
from graft.data.tta import Views, average_with_views
from graft.models.backend import compile_inference, make_deterministic
from graft.models.serialization import load_model, weights_sha256
from graft.training.decision import class_scores
from graft.utils.progress import track

BATCH_SIZE = 16


class Family(NamedTuple):
    """Models that begin with the same backbone, so that an image runs through it once for all of them."""

    shape: tuple[int, int, int]
    backbone: keras.Model | None
    heads: dict[str, keras.Model]


def score_with_views(
    models: Mapping[str, Path], images: Path, keys: Sequence[str], views: Views
) -> dict[str, np.ndarray]:
    """Score images by the mean over the plain image and its views.

    Args:
        models: method -> file of its deployable model.
        images: `data/images`.
        keys: of the images.
        views: how many, and of which augmentation; drawn at each model's own size of images.

    Returns:
        Method -> (len(keys), n_classes) float32 probabilities, in the order of the sorted keys.
    """
    make_deterministic()
    scores: dict[str, np.ndarray] = {}
    for family in _families(models):
        score = _compile(family)
        batches = [
            average_with_views(score(pixels), score, pixels, some, views)
            for some, pixels in _read(images, keys, family.shape)
        ]
        parts = np.split(np.concatenate(batches), len(family.heads), axis=1)
        scores |= dict(zip(family.heads, parts, strict=True))
    return scores


def _families(models: Mapping[str, Path]) -> list[Family]:
    families: dict[tuple[object, ...], Family] = {}
    for name, path in models.items():
        model = load_model(path)
        parts = model.layers[1:]
        backbone, head = parts if len(parts) == 2 else (None, model)
        same = (model.input_shape, head.input_shape, weights_sha256(backbone)) if backbone else (name,)
        family = families.setdefault(same, Family(model.input_shape[1:], backbone, {}))
        family.heads[name] = head
    return list(families.values())


def _compile(family: Family) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels to the scores of all heads, beside each other."""
    embed = compile_inference(family.backbone) if family.backbone else None
    heads = [compile_inference(head) for head in family.heads.values()]

    def score(pixels: np.ndarray) -> np.ndarray:
        inputs = embed(pixels) if embed else pixels
        return np.hstack([class_scores(head(inputs)) for head in heads])

    return score


def _read(
    folder: Path, keys: Sequence[str], shape: tuple[int, int, int]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Keys, sorted, and pixels of some images at once."""
    found = track(decode_keys(folder, keys, shape[0], COLOR_MODES[shape[2]]), "score views", len(keys))
    decoded = ((key, pixels.copy()) for key, pixels in found)
    while batch := list(islice(decoded, BATCH_SIZE)):
        some, pixels = zip(*batch, strict=True)
        yield list(some), np.stack(pixels)
