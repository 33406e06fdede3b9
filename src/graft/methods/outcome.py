"""The end of every method: a model trained and scored, and its files."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from graft import BACKEND
from graft.data.manifest import class_names
from graft.data.sixteen_bits import MAX_BITS
from graft.methods.run import Run
from graft.models.serialization import count_parameters, required_packages, save_model
from graft.training.checkpoint import identify
from graft.training.decision import class_scores, decide
from graft.training.fit import batched, best_epoch
from graft.training.splits import SCORED, rows_by_split
from graft.training.tracking import Curve, open_curve
from graft.utils.files import whole, write_csv

CONFIDENCE = 0.95  # of the intervals on the card
OTHER_SEEDS = "other_seeds.npz"  # the heads that model.keras lacks


class Trained(NamedTuple):
    """A model trained with one seed.

    Attributes:
        model: deployable: (n, size, size, channels) in [0, 255] -> scores.
        history: one row an epoch.
        scores: (n, n_classes) probabilities of the validation, then the test images.
        images_embedded: how many images ran through the backbone for it.
        head: the part of the model that the seed changes, where there is one.
    """

    model: keras.Model
    history: pd.DataFrame
    scores: np.ndarray
    images_embedded: int
    head: keras.Model | None = None


@dataclass(frozen=True)
class Outcome:
    """A trained method.

    Attributes:
        model: deployable, of the first seed.
        history: one row an epoch of that model's training.
        rows: manifest rows of validation and test with a column ``seed``; once for each seed.
        scores: (len(rows), n_classes) probabilities.
        classes: the labels in class order.
        facts: ``backbone``, ``weights``, ``pretrained``, ``weights_sha256``, ``seeds``, ``n_seen_train`` and,
            of one training run, ``images_embedded``.
        timing: ``seconds_preparation``, and ``seconds_training`` of one training run (the mean).
        other_heads: seed -> weights of the head with each other seed; None where the seeds share no backbone.
    """

    model: keras.Model
    history: pd.DataFrame
    rows: pd.DataFrame
    scores: np.ndarray
    classes: list[str]
    facts: dict[str, Any]
    timing: dict[str, float]
    other_heads: dict[int, list[np.ndarray]] | None = None


def train_with_seeds(
    train: Callable[[int, Curve | None], Trained],
    seeds: Sequence[int],
    run: Run,
    facts: Mapping[str, Any],
    started: float,
    resumable: SimpleNamespace | None = None,
) -> Outcome:
    """Train once with each seed and keep the model of the first.

    Args:
        train: from a seed of weights, dropout and order, and the curve of its epochs, to the result.
        seeds: at least one.
        run: its manifest gives rows and classes; the curve of the first seed goes to ``live``.
        facts: of the predictions file, as far as they are known before the training run.
        started: `time.perf_counter()` when the method began to prepare.
        resumable: the parameters, where a killed run is to go on from its last epoch; with the manifest, the
            facts and the code they determine it. None: it begins again.
    """
    prepared, n, seconds = perf_counter(), len(seeds), 0.0
    checkpoints = None
    if run.checkpoints and resumable:
        checkpoints = run.checkpoints / identify(resumable, run.manifest.to_csv(), dict(facts))
    scores = []
    heads: dict[int, list[np.ndarray]] = {}
    for i, seed in enumerate([*seeds[1:], seeds[0]], 1):  # fine-tuning leaves its weights in the one backbone
        kept, live = checkpoints and checkpoints / str(seed), run.live if i == n else None
        with open_curve(live, f"seed {i}/{n}", kept) as curve:
            trained = train(seed, curve)
        scores.append(trained.scores)
        if trained.head and i < n:
            heads[seed] = trained.head.get_weights()
        seconds += sum(each.earlier for each in curve.checkpoints)
    seconds += perf_counter() - prepared
    rows = rows_by_split(run.manifest)
    seen = {"seeds": list(seeds), "n_seen_train": len(rows["train"])}
    scored = pd.concat([rows[split] for split in SCORED])
    return Outcome(
        model=trained.model,
        history=trained.history,
        rows=pd.concat([scored.assign(seed=seed) for seed in seeds]),
        scores=np.concatenate([scores[-1], *scores[:-1]]),
        classes=class_names(run.manifest),
        facts={**facts, **seen, "images_embedded": trained.images_embedded},
        timing={"seconds_preparation": prepared - started, "seconds_training": seconds / len(seeds)},
        other_heads=heads if trained.head else None,
    )


def predict(model: keras.Model, plain: Mapping[str, np.ndarray], batch_size: int) -> np.ndarray:
    """Score the validation, then the test images: (n, n_classes) probabilities.

    Args:
        model: from the arrays' rows to a sigmoid or a softmax.
        plain: ``validation`` and ``test``, which may be memory-mapped.
        batch_size: how many rows are float32 at once.
    """
    batches = [batch for split in SCORED for batch in batched(plain[split], batch_size)]
    return class_scores(np.concatenate([model.predict_on_batch(batch) for batch in batches]))


def describe(outcome: Outcome) -> str:
    """Say how well the model that is kept does on validation, and what the history says was best."""
    history, seeds = outcome.history, outcome.facts["seeds"]
    right = 100 * _hits(outcome, "validation").mean()
    best = history.iloc[best_epoch(history) - 1 if "val_loss" in history else 0]
    name, value = history.columns[0], f"{best.iloc[0]:g}"
    place = f"{name} {value} of {len(history)}" if name == "epoch" else f"{name} = {value}"
    first = f", first of {len(seeds)} seeds" * (len(seeds) > 1)
    scaled = "".join(f", temperature {each:g}" for each in outcome.facts.get("temperatures", [])[:1])
    return f"validation accuracy {right:.1f} % ({place}{first}){scaled}"


def write_model(
    outcome: Outcome, folder: Path, method: str, dataset: str, bit_depth: int = MAX_BITS
) -> dict[str, Any]:
    """Write ``model.keras``, its card in it, ``history.csv`` and, of a head, `OTHER_SEEDS` to a folder.

    Returns:
        The facts of the predictions file: ``method``, those of the outcome, ``trainable_params``,
        ``total_params``, ``model_bytes``, and ``epochs`` and ``best_epoch``, None of a method without epochs.
    """
    card = {"method": method, "dataset": dataset, **_describe_model(outcome)}
    if "temperatures" in outcome.facts:
        card["temperature"] = outcome.facts["temperatures"][0]
    if bit_depth < MAX_BITS:
        card["bit_depth"] = bit_depth
    save_model(outcome.model, folder / "model.keras", card)
    write_csv(outcome.history, folder / "history.csv")
    if outcome.other_heads is not None:
        _write_other_heads(outcome.other_heads, folder / OTHER_SEEDS)
    return {
        "method": method,
        **outcome.facts,
        **count_parameters(outcome.model),
        "model_bytes": (folder / "model.keras").stat().st_size,
        "epochs": len(outcome.history) if "epoch" in outcome.history else None,
        "best_epoch": best_epoch(outcome.history) if "epoch" in outcome.history else None,
    }


def _write_other_heads(heads: Mapping[int, Sequence[np.ndarray]], path: Path) -> None:
    arrays: Any = {f"{seed}/{i}": each for seed, weights in heads.items() for i, each in enumerate(weights)}
    with whole(path) as partial, partial.open("wb") as file:  # to a name, NumPy would add its ending
        np.savez(file, **arrays)


def read_other_heads(folder: Path) -> dict[int, list[np.ndarray]]:
    """Read the weights of a method's heads, but for the first seed's: seed -> weights in layer order."""
    heads: dict[int, list[np.ndarray]] = {}
    if (folder / OTHER_SEEDS).is_file():
        with np.load(folder / OTHER_SEEDS) as arrays:
            for name in arrays.files:
                heads.setdefault(int(name.split("/")[0]), []).append(arrays[name])
    return heads


def _describe_model(outcome: Outcome) -> dict[str, Any]:
    """All of the card that an outcome tells: see `graft.models.card.read_card`."""
    facts, (_, size, _, channels) = outcome.facts, outcome.model.input_shape
    hits = {split: _hits(outcome, split) for split in SCORED}
    required = required_packages(json.dumps(keras.saving.serialize_keras_object(outcome.model)))
    packages = ("graft", "keras", BACKEND, "numpy", "pillow", *required)
    return {
        "classes": outcome.classes,
        "image_size": size,
        "channels": channels,
        **{name: facts[name] for name in ("backbone", "weights", "pretrained", "weights_sha256")},
        **{
            name: facts[name]
            for name in ("features", "teacher", "teacher_sha256", "members")
            if name in facts
        },
        **({"requires": required} if required else {}),
        "seed": facts["seeds"][0],
        "n_images": {"train": facts["n_seen_train"], **{split: len(each) for split, each in hits.items()}},
        "accuracy": {split: _with_interval(each) for split, each in hits.items()},
        "confidence": CONFIDENCE,
        "versions": {name: version(name) for name in packages},
    }


def _hits(outcome: Outcome, split: str) -> np.ndarray:
    """(n,) bool: the images of a split that the model that is kept is right about."""
    rows = outcome.rows
    chosen = ((rows["seed"] == outcome.facts["seeds"][0]) & (rows["split"] == split)).to_numpy()
    predicted = np.array(outcome.classes)[decide(outcome.scores[chosen])]
    return np.asarray(predicted == rows.loc[chosen, "label"].to_numpy())


def _with_interval(hits: np.ndarray) -> dict[str, float]:
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(CONFIDENCE, method="wilson")
    return {
        "value": float(hits.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
        "n": len(hits),
    }
