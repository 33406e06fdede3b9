"""A model file in use: images in, a table of labels and scores out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from graft.data.archives import MAX_MEMBER_BYTES
from graft.data.folders import read_file
from graft.data.images import COLOR_MODES, resize_to
from graft.data.images import load as load_image
from graft.data.sixteen_bits import MAX_BITS
from graft.data.tta import Views, average_with_views, make_views
from graft.export.registry import Scored, Session, format_of
from graft.training.decision import decide

BATCH_SIZE = 16
MAX_PIXELS = 100_000_000  # as prepare.max_pixels has it by default
TAKEN = ("path", "label", "score", "error", "embedding")  # by other columns


@dataclass(frozen=True)
class Classifier:
    """A trained model, ready to use. `load` makes one.

    Attributes:
        card: classes, provenance and accuracy: see `graft.models.card.read_card`.
        session: from (n, size, size, channels) pixels in [0, 255] to `graft.export.registry.Scored`.
    """

    card: dict[str, Any]
    session: Session

    @property
    def classes(self) -> list[str]:
        """The labels in class order."""
        return list(self.card["classes"])

    @property
    def bit_depth(self) -> int:
        """The bits of the values in images of 16 bits a channel."""
        return int(self.card.get("bit_depth", MAX_BITS))

    def decode(self, data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Decode an encoded image as in training: (size, size, channels) uint8.

        Raises:
            ImageError: if it does not decode, or has more pixels.
        """
        color_mode = COLOR_MODES[self.card["channels"]]
        return load_image(data, self.card["image_size"], color_mode, max_pixels, self.bit_depth)

    def score(self, pixels: np.ndarray, keys: Sequence[str] = (), views: Views | None = None) -> Scored:
        """Score decoded images: (n, size, size, channels) in [0, 255], uint8 or float32, n > 0.

        With `views`, which are drawn from the images' `keys`, the scores are means over image and views.
        """
        found = self.session(pixels)
        if views is None:
            return found
        scores = average_with_views(found.scores, lambda each: self.session(each).scores, pixels, keys, views)
        return found._replace(scores=scores)

    def choose_views(self, tta: int, augmentation: Mapping[str, Any] | None = None) -> Views | None:
        """Choose the views of images that are to be scored; None where `tta` is 0.

        Args:
            tta: their number.
            augmentation: operations by name, as in params.yaml; None: those on the card.

        Raises:
            ValueError: if there is no such number or operation, or the card names none.
        """
        augmentation = self.card.get("augmentation") if augmentation is None else augmentation
        if tta and augmentation is None:
            raise ValueError(
                f"tta={tta}: the model's card has no augmentation; say it, such as "
                'augmentation={"flip": "horizontal"}: the operations of params.yaml\'s block of that name'
            )
        return make_views(tta, augmentation or {}) if tta else None

    def tabulate(self, paths: Sequence[str], scores: np.ndarray) -> pd.DataFrame:
        """Put scores (n, n_classes) into the table that `predict` returns."""
        chosen = decide(scores)
        best = {
            "path": list(paths),
            "label": np.array(self.classes, dtype=object)[chosen],
            "score": scores[np.arange(len(scores)), chosen],
        }
        return pd.DataFrame({**best, **dict(zip(self.columns, scores.T, strict=True))})

    @property
    def columns(self) -> list[str]:
        """The names of the columns with the classes' scores."""
        return [f"{name} (class)" if name in TAKEN else name for name in self.classes]

    def predict(
        self,
        images: Any,
        batch_size: int = BATCH_SIZE,
        tta: int = 0,
        augmentation: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Predict the class of images.

        Args:
            images: paths of image files, or arrays (H, W, channels) or (H, W), uint8 or floats in [0, 255],
                of any sizes; also one of them, or one array (n, H, W, channels).
            batch_size: how many are scored at once.
            tta: score so many augmented views of each image, too, and take the mean (test-time augmentation).
                A view is drawn from the sha256 of the file's bytes, as in training; of an array, its resized
                values.
            augmentation: of these views: see `choose_views`.

        Returns:
            A row an image in their order: ``path`` (of an array its number), ``label``, ``score`` (the
            probability of that label), and a float32 column a class with its probability. A class that is
            called like another column has `` (class)`` added.

        Raises:
            FileNotFoundError: if a path does not exist.
            ImageError: if a file does not decode, with its path.
            ValueError: if an array is no image, a path no regular file, or the views cannot be drawn.

        Examples:
            A model that is 80 % sure of a dog, whatever it sees; `load` gives one that was trained.

            >>> card = {"classes": ["cat", "dog"], "image_size": 2, "channels": 3}
            >>> scores = np.array([[0.2, 0.8]], np.float32)
            >>> model = Classifier(card, lambda pixels: Scored(scores.repeat(len(pixels), 0), None))
            >>> model.predict(np.zeros((4, 6, 3), np.uint8))
              path label  score  cat  dog
            0    0   dog    0.8  0.2  0.8
        """
        views = self.choose_views(tta, augmentation)
        decoded = self._decode_all(_each(images))
        tables = []
        while batch := list(islice(decoded, batch_size)):
            paths, keys, pixels = zip(*batch, strict=True)
            tables.append(self.tabulate(paths, self.score(np.stack(pixels), keys, views).scores))
        return pd.concat(tables, ignore_index=True) if tables else self.tabulate([], self._no_scores())

    def _no_scores(self) -> np.ndarray:
        return np.empty((0, len(self.classes)), np.float32)

    def _decode_all(self, images: Iterable[Any]) -> Iterator[tuple[str, str, np.ndarray]]:
        """Path, key and pixels of each image."""
        for number, image in enumerate(images):
            if isinstance(image, str | PathLike):
                try:
                    data = read_file(Path(image), MAX_MEMBER_BYTES)
                    yield fspath(image), sha256(data).hexdigest(), self.decode(data)
                except ValueError as error:
                    raise type(error)(f"{fspath(image)}: {error}") from None
            else:
                pixels = self._resize(number, np.asarray(image))
                yield str(number), sha256(pixels.tobytes()).hexdigest(), pixels

    def _resize(self, number: int, array: np.ndarray) -> np.ndarray:
        gray = array if array.ndim == 2 else array[..., 0] if array.shape[2:] == (1,) else None
        if array.size == 0 or (gray is None and array.shape[2:] != (3,)):
            raise ValueError(
                f"image {number}: expected an array (H, W), (H, W, 1) or (H, W, 3), "
                f"received shape={array.shape}"
            )
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 255):
            raise ValueError(
                f"image {number}: expected values in [0, 255], received {array.min()} to {array.max()}"
            )
        values = (array if gray is None else gray).round().astype(np.uint8)
        return resize_to(Image.fromarray(values), self.card["image_size"], COLOR_MODES[self.card["channels"]])


def load(path: str | PathLike[str], threads: int | None = None) -> Classifier:
    """Load a trained model.

    Args:
        path: a model file, or a folder with a ``model.keras``, such as ``models/two_stage``.
        threads: for the runtime; None: as many as it takes by itself.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no model of graft, or not the one of its card.
    """
    file = find_file(Path(path))
    module = format_of(file).load()
    card, session = module.read_card(file), module.open_session(file, threads)
    size, n_classes = card["image_size"], len(card["classes"])
    try:
        fits = session(np.zeros((1, size, size, card["channels"]), np.uint8)).scores.shape == (1, n_classes)
    except Exception:  # each runtime has its own
        fits = False
    if not fits:
        raise ValueError(
            f"{file} is not the model of its card, which has {size} x {size} pixels and {n_classes} classes: "
            "make it again"
        )
    return Classifier(card, session)


def find_file(path: Path) -> Path:
    """Find the file of a model, whose folder may be named instead."""
    return path / "model.keras" if (path / "model.keras").is_file() else path


def _each(images: Any) -> Iterator[Any]:
    """The images, of which there may be only one."""
    one_array = isinstance(images, np.ndarray) and images.ndim <= 3 and images.shape[2:] in ((), (1,), (3,))
    return iter([images] if one_array or isinstance(images, str | PathLike) else images)
