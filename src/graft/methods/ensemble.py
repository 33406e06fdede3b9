"""Ensemble: the mean of the scores of heads that are trained already, behind the backbone they share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from graft.config.training import Ensemble
from graft.methods.outcome import Outcome, Trained, read_other_heads, train_with_seeds
from graft.methods.run import Predictions, Run
from graft.methods.weighing import average, weigh
from graft.models.isolation import build_isolated
from graft.models.parts import Models
from graft.models.serialization import deployable
from graft.training.splits import SCORED, class_numbers, rows_by_split

PARAMS = {"ensemble": Ensemble}
OF_ALL = ("backbone", "weights", "pretrained", "weights_sha256", "features")  # facts in which members agree


class Member(NamedTuple):
    """A head whose scores are averaged: of a method, trained with a seed."""

    method: str
    seed: int

    @property
    def name(self) -> str:
        """That of its layer in the file."""
        return f"{self.method}_{self.seed}"


def train(params: SimpleNamespace, run: Run) -> Outcome:
    """Weigh the scores in the members' predictions, and join their heads with the backbone.

    Nothing is trained or random, so there is one seed. The history has a row for each choice of weights.
    """
    started, block = perf_counter(), params.ensemble
    models, read_member = run.models, run.read_predictions
    assert models is not None
    assert read_member is not None
    rows, labels = rows_by_split(run.manifest), class_numbers(run.manifest)
    read = {name: read_member(name) for name in block.members}
    keys = [key for split in SCORED for key in rows[split]["key"]]
    check_members(read, keys)
    n_seeds = 1 if block.seeds == "first" else None
    members = [Member(name, seed) for name, (_, facts) in read.items() for seed in facts["seeds"][:n_seeds]]
    scores = np.stack([_scores(read[member.method][0], member.seed, keys) for member in members])
    of_validation = scores[:, : len(labels["validation"])]
    weights, history = weigh(of_validation, labels["validation"], block.weights)
    weighted = {member: float(w) for member, w in zip(members, weights, strict=True) if w}
    facts = [facts for _, facts in read.values()]
    embedded = max(each["images_embedded"] for each in facts)  # what one embeds the others look up

    def join(*_: Any) -> Trained:
        backbone, heads = load_heads(models, list(weighted))
        head = build_isolated(lambda: mean_of(heads, list(weighted.values())))
        return Trained(deployable(backbone, head), history, average(scores, weights), embedded)

    shared = {name: facts[0][name] for name in OF_ALL if name in facts[0]}
    described = [{**member._asdict(), "weight": weight} for member, weight in weighted.items()]
    return train_with_seeds(join, (0,), run, shared | {"members": described}, started)


def check_members(read: Mapping[str, Predictions], keys: Sequence[str]) -> None:
    """Check that methods scored the same images and rest on one backbone.

    Args:
        read: method -> frame and facts of its predictions.
        keys: of the validation and test images.

    Raises:
        ValueError: if they do not, as when one of them was trained with other parameters.
    """
    expected = next(iter(read.values()))[1]
    for name, (frame, facts) in read.items():
        of_others = [key for key in OF_ALL if facts.get(key) != expected.get(key)]
        if of_others or set(frame["key"]) != set(keys):
            what = f"{of_others[0]}={facts.get(of_others[0])!r}" if of_others else "images of another split"
            raise ValueError(
                f"the members of an ensemble must be of one backbone and one split, received {name} with "
                f"{what}; run `dvc repro` to train all of them with the same parameters"
            )


def _scores(frame: pd.DataFrame, seed: int, keys: Sequence[str]) -> np.ndarray:
    """(n, n_classes) float64, in the order of keys: all columns but those of the rows."""
    rows = frame[frame["seed"] == seed].set_index("key").loc[[*keys]]
    return rows.drop(columns=["split", "y_true", "seed"]).to_numpy(np.float64)


def load_heads(models: Path, members: Sequence[Member]) -> tuple[keras.Model, list[keras.Model]]:
    """Load the backbone that members share, frozen, and the head of each, which has the member's name."""
    reader, heads = Models(), []
    for name in dict.fromkeys(member.method for member in members):
        _, backbone, head = reader.load(models / name / "model.keras").layers
        others = read_other_heads(models / name)
        for member in (each for each in members if each.method == name):
            copy = type(head).from_config({**head.get_config(), "name": member.name})
            copy.set_weights(others.get(member.seed) or head.get_weights())
            heads.append(copy)
    backbone.trainable = False
    return backbone, heads


def mean_of(heads: Sequence[keras.Model], weights: Sequence[float]) -> keras.Model:
    """Join heads on the same features into one whose output is the weighted mean of theirs."""
    features = keras.Input(heads[0].input_shape[1:], name="features")
    weighted = [
        keras.layers.Rescaling(weight, name=f"{head.name}_weight")(head(features))
        for head, weight in zip(heads, weights, strict=True)
    ]
    mean = keras.layers.Add(name="mean")(weighted) if len(weighted) > 1 else weighted[0]
    return keras.Model(features, mean, name="head")
