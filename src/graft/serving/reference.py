"""The images that a model's requests are compared with: those that it was trained and measured on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graft.config.load import read_params
from graft.config.paths import FEATURES, MANIFEST, MODELS, PREDICTIONS
from graft.data.manifest import read_manifest
from graft.evaluation.predictions import first_seed, read_predictions, score_matrix
from graft.features.format import read_metadata, shard_files
from graft.features.vectors import read_vectors
from graft.models.card import read_card
from graft.report.lock import look_up, params_of


@dataclass(frozen=True)
class Reference:
    """The training images of a model and its scores of the others, to compare requests with.

    Attributes:
        card: of the model.
        features: (n, d) float32, of training images, averaged over a map's places; None: see `lacking`.
        scores: (m, n_classes), of the validation and test images, which the model was not trained on.
        lacking: a sentence on why there are no features; empty where there are.
    """

    card: Mapping[str, Any]
    features: np.ndarray | None
    scores: np.ndarray
    lacking: str = ""


def read_reference(root: Path, method: str) -> Reference:
    """Read the reference of a method's model from its repository.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the files do not belong together.
    """
    model = MODELS / method / "model.keras"
    card = read_card(root / model)
    predictions, facts = read_predictions(root / PREDICTIONS / f"{method}.parquet")
    scores, classes = score_matrix(first_seed(predictions, facts))
    if classes != card["classes"] or facts["model_bytes"] != (root / model).stat().st_size:
        raise ValueError(f"{model} and predictions/{method}.parquet are of different runs: run `dvc repro`")
    lacking = _explain_lack(root, method, card)
    return Reference(card, None if lacking else _read_train(root), scores, lacking)


def _explain_lack(root: Path, method: str, card: Mapping[str, Any]) -> str:
    if card["weights_sha256"] is None:
        return f"{method} has no backbone, so only its answers are compared."
    if _is_fine_tuned(root, method):
        return (
            f"The backbone of {method} was fine-tuned, and data/features are of the one before: only the "
            "model's answers are compared."
        )
    made = read_metadata(shard_files(root / FEATURES)[0])["fingerprint"]
    if any(made[name] != card[name] for name in ("weights_sha256", "image_size")):
        return "data/features are of another backbone than the model: only its answers are compared."
    return ""


def _is_fine_tuned(root: Path, method: str) -> bool:
    """By dvc.lock, or by params.yaml where that does not know the model."""
    recorded = params_of(root, f"train_{method}", MODELS / method / "model.keras")
    params = read_params(root / "params.yaml") if recorded is None else recorded
    chosen = look_up(params, f"{method}.fine_tune")
    return isinstance(chosen, Mapping) and bool(chosen.get("blocks") or chosen.get("layers"))


def _read_train(root: Path) -> np.ndarray:
    manifest = read_manifest(root / MANIFEST)
    return read_vectors(root / FEATURES, manifest.loc[manifest["split"] == "train", "key"])[1]
