"""Distilled: a small network that learns from the answers of another method's model (arXiv 1503.02531).

Both see the same view of an image, each at its own size (Beyer et al. 2022, arXiv 2106.05237): a view is a
function of the image's key and the view's number.
"""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from graft.config.features import Augmentation
from graft.config.training import Distilled
from graft.config.types import Positive
from graft.data.augmentation import augment
from graft.data.decoding import load_pixels
from graft.data.images import COLOR_MODES
from graft.methods.outcome import Outcome
from graft.methods.run import Run
from graft.methods.small_network import Lessons, train_network
from graft.models.backend import compile_inference
from graft.models.card import read_card
from graft.models.serialization import load_frozen
from graft.training.objective import Teaching
from graft.training.splits import rows_by_split
from graft.utils.files import digest
from graft.utils.memory import allocate
from graft.utils.progress import track

PARAMS = {"features.memory_limit": Positive, "augmentation": Augmentation, "distilled": Distilled}
BATCH_SIZE = 16


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Train a network on `distilled.views` views of each image and the teacher's answers to them."""
    return train_network("distilled", params, run, partial(_ask_teacher, params, run))


def _ask_teacher(params: SimpleNamespace, run: Run) -> Lessons:
    block, keys = params.distilled, list(rows_by_split(run.manifest)["train"]["key"])
    assert run.models is not None
    file = run.models / block.teacher / "model.keras"
    answers = answer_views(file, params, run, keys)
    has_backbone = read_card(file)["backbone"] != "none"
    return Lessons(
        block.views,
        Teaching(lambda epoch, rows: answers[epoch % block.views, rows], block.temperature, block.alpha),
        {"teacher": block.teacher, "teacher_sha256": digest(file)},
        images_embedded=has_backbone * block.views * len(keys),
    )


def answer_views(file: Path, params: SimpleNamespace, run: Run, keys: list[str]) -> np.ndarray:
    """Score the first views of some images by a deployable model, at its size.

    Args:
        file: ``model.keras``.
        params: ``augmentation``, ``memory_limit`` (GB) and the number of views, ``distilled.views``.
        run: its images are looked up.
        keys: of the n images.

    Returns:
        (views, n, n_outputs) float32, of view 1 first.
    """
    card, views = read_card(file), params.distilled.views
    shape = (len(keys), card["image_size"], card["image_size"], card["channels"])
    pixels = allocate(shape, np.uint8, params.memory_limit, run.temporary / "teacher.npy")
    load_pixels(run.images, keys, shape[1], pixels, COLOR_MODES[shape[3]])
    score = compile_inference(load_frozen(file))
    starts = [(view, start) for view in range(1, views + 1) for start in range(0, len(keys), BATCH_SIZE)]
    answers = []
    for view, start in track(starts, "teacher", len(starts), "batches"):
        chosen = keys[start : start + BATCH_SIZE]
        batch = pixels[start : start + len(chosen)]
        answers.append(score(augment(batch, chosen, [view] * len(chosen), params.augmentation)))
    return np.concatenate(answers).reshape(views, len(keys), -1)
