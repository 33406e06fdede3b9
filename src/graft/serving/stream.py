"""Images from anywhere -> tables of predictions, a batch after the other, in bounded memory."""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pandas as pd

from graft.data.images import ImageError
from graft.data.tta import Views
from graft.export.registry import Scored
from graft.serving.classifier import BATCH_SIZE, MAX_PIXELS, Classifier
from graft.serving.sources import Source
from graft.utils.ahead import map_ahead

AHEAD = 3 * BATCH_SIZE  # images that are decoded, or being so, while a batch is scored


class Answer(NamedTuple):
    """The answer to an image: its pixels and its key, or why there are none."""

    path: str
    pixels: np.ndarray | None
    error: str | None
    key: str = ""


class Answers(NamedTuple):
    """The predictions of a batch.

    Attributes:
        table: as of `Classifier.predict`, with a column ``error``: missing, or why an image was not read;
            such a row has neither label nor scores.
        features: (n, d) float32, NaN of images that could not be read; None of a model without a backbone.
    """

    table: pd.DataFrame
    features: np.ndarray | None


def predict_stream(
    model: Classifier, sources: Iterable[Source], max_pixels: int = MAX_PIXELS, views: Views | None = None
) -> Iterator[Answers]:
    """Predict the class of each image, in their order.

    Args:
        model: see `graft.serving.classifier.load`.
        sources: see `graft.serving.sources.find_images`.
        max_pixels: height x width; an image of more is not decoded.
        views: of each image that are scored as well: see `Classifier.score`.
    """
    batch: list[Answer] = []
    for answer in _decode(model, sources, max_pixels):
        batch.append(answer)
        if len(batch) == BATCH_SIZE:
            yield _answer(model, batch, views)
            batch = []
    if batch:
        yield _answer(model, batch, views)


def _decode(model: Classifier, sources: Iterable[Source], max_pixels: int) -> Iterator[Answer]:
    def decode(item: tuple[str, bytes | str]) -> Answer:
        path, data = item
        if isinstance(data, str):
            return Answer(path, None, data)
        try:
            return Answer(path, model.decode(data, max_pixels), None, sha256(data).hexdigest())
        except ImageError as error:
            return Answer(path, None, str(error))
        except MemoryError:
            return Answer(path, None, "no memory left to decode it")

    return map_ahead(decode, map(_read, sources), AHEAD, lambda item: len(item[1]))


def _read(source: Source) -> tuple[str, bytes | str]:
    """Read the file, or say why that cannot be done."""
    try:
        return source.path, source.read()
    except (OSError, ValueError) as error:
        return source.path, (error.strerror if isinstance(error, OSError) else None) or str(error)


def _answer(model: Classifier, batch: list[Answer], views: Views | None) -> Answers:
    read = [i for i, answer in enumerate(batch) if answer.pixels is not None]
    if read:
        pixels = np.stack([batch[i].pixels for i in read])  # type: ignore[misc]
        found = model.score(pixels, [batch[i].key for i in read], views)
    else:
        found = Scored(np.empty((0, len(model.classes)), np.float32), None)
    table = model.tabulate([""] * len(read), found.scores).set_axis(read).reindex(range(len(batch)))
    table["path"] = [os.fsencode(answer.path).decode(errors="backslashreplace") for answer in batch]
    table["error"] = pd.array([answer.error for answer in batch], dtype="str")
    features = None
    if found.features is not None:
        features = np.full((len(batch), found.features.shape[1]), np.nan, np.float32)
        features[read] = found.features
    return Answers(table, features)
