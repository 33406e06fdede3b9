"""A method's model -> a file in another format, checked, and its record."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from graft import BACKEND
from graft.data.decoding import load_pixels
from graft.data.images import COLOR_MODES
from graft.export.check import compare_to_keras, find_faults, list_versions
from graft.export.measure import Measured, measure_apart
from graft.export.records import FOLDER, MODEL, model_sha256, read_exports, write_exports
from graft.export.registry import Format
from graft.models.card import read_card
from graft.utils.temporary import emptied

TESTED, CALIBRATED = 500, 128  # images at most
ONE_THREAD = "_one_thread"
LOCK, PARTIAL = ".lock", ".partial-"  # the latter begins the name of the folder that an export is made in


@dataclass(frozen=True)
class Source:
    """A trained method, and the images that its exports are made and checked with.

    Attributes:
        folder: such as ``models/two_stage``, with the ``model.keras``.
        images: `data/images`.
        manifest: `data/manifest.csv`.
        commit: of the model; None if it is unknown.
        augmentation: of the views that are to be scored with it; None: none are.
    """

    folder: Path
    images: Path
    manifest: pd.DataFrame
    commit: str | None
    augmentation: dict[str, Any] | None = None

    @cached_property
    def sha256(self) -> str:
        """The digest of the model when the first of its exports begins."""
        return model_sha256(self.folder)

    @cached_property
    def card(self) -> dict[str, Any]:
        """The card that the exports have."""
        card = read_card(self.folder / MODEL) | {"commit": self.commit}
        card |= {"augmentation": self.augmentation} if self.augmentation else {}
        labels = sorted(self.manifest["label"].unique())
        if labels != card["classes"]:
            raise ValueError(
                f"{self.folder / MODEL} has the classes {', '.join(card['classes'])}, the manifest has "
                f"{', '.join(labels)}: run `dvc repro`"
            )
        return card

    def card_in(self, format: Format) -> dict[str, Any]:
        """The card of a file: what Keras needs to load the model, no other runtime does."""
        return {k: v for k, v in self.card.items() if k != "requires" or format.name == "keras"}

    @cached_property
    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (n, size, size, channels) uint8 and class numbers (n,) of the first test images by key."""
        rows = self._choose("test", TESTED)
        return self._load(rows), np.searchsorted(self.card["classes"], rows["label"])

    @cached_property
    def calibration(self) -> np.ndarray:
        """Pixels of the first training images by key: keys are digests, so it is a random choice."""
        return self._load(self._choose("train", CALIBRATED))

    @cached_property
    def keras(self) -> tuple[Measured, Measured]:
        """The runs of the model in Keras, with all threads and with one."""
        return measure_twice(self.folder / MODEL, self.test[0])

    def _choose(self, split: str, n: int) -> pd.DataFrame:
        rows = self.manifest[self.manifest["split"] == split].sort_values("key").head(n)
        if rows.empty:
            raise ValueError(f"the manifest has no images of {split}: no export can be checked")
        return rows

    def _load(self, rows: pd.DataFrame) -> np.ndarray:
        size, mode = self.card["image_size"], COLOR_MODES[self.card["channels"]]
        return load_pixels(self.images, list(rows["key"]), size, color_mode=mode)


def measure_twice(path: Path, images: np.ndarray) -> tuple[Measured, Measured]:
    """Run a file with all threads, then, for its speed, the first images with one."""
    return measure_apart(path, images, None), measure_apart(path, images[:1], 1)


def export(
    source: Source, format: Format, precision: str, force: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Write ``exports/<method>-<precision><suffix>`` in the method's folder, if it passes its check.

    Args:
        source: the model and the images.
        format: one of `graft.export.registry.FORMATS`.
        precision: one of its.
        force: keep a file that does not pass, and mark it so.

    Returns:
        The record, as `graft.export.records.read_exports` describes it, and what was wrong with the file, in
        words. Where something was and `force` is not given, there is neither file nor record.

    Raises:
        MissingRuntimeError: if the format needs what is not installed.
        ValueError: if the format cannot hold the model or is not written under this backend of Keras, its
            runtime cannot load the file, or the model is no longer that of the source.
    """
    if format.name != "keras" and BACKEND != "tensorflow":
        raise ValueError(
            f"{format.name} is written from TensorFlow only, whichever backend trained the model: "
            f"received KERAS_BACKEND={BACKEND}; unset it for this command"
        )
    module, folder = format.load(), source.folder
    (folder / FOLDER).mkdir(exist_ok=True)
    # Another export of the model waits: for the records, and so that the speeds are of one program alone.
    with FileLock(folder / FOLDER / LOCK), emptied(folder / FOLDER, PARTIAL) as temporary:
        digest, file = source.sha256, temporary / f"{folder.name}-{precision}{format.suffix}"
        card = source.card_in(format)
        with format.needed():
            _write(module, source, card, file, precision)
        assert module.read_card(file) == card
        runs = measure_twice(file, source.test[0])
        compared = compare_to_keras(runs[0], source.keras[0], source.test[1])
        faults = find_faults(compared, precision)
        record = {
            "format": format.name,
            "precision": precision,
            "file": f"{FOLDER}/{file.name}",
            "bytes": format.size(file),
            "passed": not faults,
            "forced": bool(faults),
            **compared,
            **_speeds("images_per_second", runs),
            **_speeds("keras_images_per_second", source.keras),
            "versions": list_versions(("graft", "keras", BACKEND, *format.packages)),
        }
        if model_sha256(folder) != digest:
            raise ValueError(f"{folder / MODEL} was replaced in the meantime: export it again")
        _replace(folder, record, format, temporary, keep=force or not faults)
    return record, faults


def _write(module: Any, source: Source, card: dict[str, Any], file: Path, precision: str) -> None:
    from graft.models.serialization import load_model  # with Keras

    model = load_model(source.folder / MODEL)
    calibration = source.calibration if precision == "int8" else source.test[0][:0]
    module.write(model, card, file, precision, calibration)


def _speeds(name: str, runs: tuple[Measured, Measured]) -> dict[str, dict[str, float]]:
    return {name: runs[0].images_per_second, name + ONE_THREAD: runs[1].images_per_second}


def _replace(folder: Path, record: dict[str, Any], format: Format, made: Path, keep: bool) -> None:
    """Put a file, or nothing, in the place of an earlier one, and its record beside those of others.

    Wherever it is interrupted, no record is of another file than that which is there.
    """
    others = [each for each in read_exports(folder) if each["file"] != record["file"]]
    write_exports(folder, others)
    for old in format.files(folder / record["file"]):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
        if keep:
            (made / old.name).rename(old)
    if keep:
        write_exports(folder, [*others, record])
