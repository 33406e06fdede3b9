"""Checkpoints: a training run that was killed after any epoch ends in the same bits."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from graft.methods.outcome import Outcome
from graft.training.checkpoint import identify
from graft.training.fit import TrainingData, draw_batches, fit
from graft.training.steps import Batch
from graft.training.tracking import open_curve
from helpers.tiers import long_but_for
from helpers.training import TUNED, make_schedule, make_training

N = 6
LABELS = np.array([0] * 8 + [1] * 5 + [2] * 4)
OPTIONS = {
    "adam, mixup": {"optimizer": "adam", "mix": "mixup"},
    "cosine, balanced": {"schedule": make_schedule("cosine"), "sampling": "balanced"},
    "plateau, patience": {
        "schedule": make_schedule("reduce_on_plateau"),
        "patience": 4,
        "optimizer": "rmsprop",
    },
    "stops": {"patience": 2, "optimizer": "adamw", "global_clipnorm": 1.0},
    "exponential, weights": {"schedule": make_schedule("exponential"), "class_weight": "balanced"},
}


class Killed(BaseException):
    """Ends a training run as a signal does, wherever it is."""


def train_small(folder: Path, options: dict[str, Any], die_in: int | None = None) -> tuple[Any, pd.DataFrame]:
    """Train a small network with dropout, noise and batch normalisation, or die in an epoch (from 0)."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    hidden = [layers.Dense(5), layers.BatchNormalization(), layers.GaussianNoise(0.1), layers.Dropout(0.4)]
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, "softmax")])
    x = np.random.default_rng(0).normal(size=(len(LABELS), 4)).astype(np.float32)

    def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
        if epoch == die_in:
            raise Killed
        return x[rows] + epoch

    with open_curve(folder / "live", checkpoints=folder / "checkpoints") as curve:
        data = TrainingData(inputs, LABELS, (x, 2 - LABELS))
        history = fit(model, data, make_training(**options, epochs=N), 3, curve=curve)
    return model, history


def live(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "live").rglob("*.tsv")}


@pytest.mark.parametrize("name", long_but_for(["plateau, patience"], list(OPTIONS)))
def test_a_run_killed_in_each_epoch_ends_in_the_same_bits(tmp_path: Path, name: str) -> None:
    whole, history = train_small(tmp_path / "whole", OPTIONS[name])
    for k in range(len(history)):  # it is killed in each epoch, then finished, and asked for once more
        with pytest.raises(Killed):
            train_small(tmp_path / "killed", OPTIONS[name], die_in=k)
    for die_in in (None, len(history) - 1):
        model, resumed = train_small(tmp_path / "killed", OPTIONS[name], die_in)
        pd.testing.assert_frame_equal(resumed, history, check_exact=True)
        assert all((a == b).all() for a, b in zip(model.get_weights(), whole.get_weights(), strict=True))
        assert live(tmp_path / "killed") == live(tmp_path / "whole")


@pytest.mark.long
def test_a_damaged_checkpoint_is_not_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, history = train_small(tmp_path, {})
    (file,) = (tmp_path / "checkpoints").iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[: len(content) // 2], content[:300] + b"\0" * 50 + content[350:]):
        file.write_bytes(damaged)
        pd.testing.assert_frame_equal(train_small(tmp_path, {})[1], history, check_exact=True)
        assert "is damaged: the training run begins again" in capfd.readouterr().out


@pytest.mark.long
def test_a_disk_that_takes_no_checkpoint_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").write_text("a file, where the folder should be")
    assert len(train_small(tmp_path, {})[1]) == N
    assert capfd.readouterr().err.count("not kept for a run that is killed: ") == 1


def test_what_determines_a_run_is_in_its_name() -> None:
    params = SimpleNamespace(inline=make_training())
    changed = [SimpleNamespace(inline=make_training(mix_alpha=alpha)) for alpha in (0.1, 0.2)]
    names = [identify(params), identify(params, "manifest"), *map(identify, changed)]
    assert identify(SimpleNamespace(inline=make_training())) == names[0]
    assert all(a != b for a, b in itertools.combinations(names, 2))


def files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.npz"))


def same(first: Outcome, second: Outcome) -> bool:
    weights = zip(first.model.get_weights(), second.model.get_weights(), strict=True)
    equal = [first.history.equals(second.history), (first.scores == second.scores).all()]
    return all([*equal, *((a == b).all() for a, b in weights)])


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "changes"),
    [("scratch", {}), ("distilled", {}), ("inline", {}), ("inline", {"fine_tune": TUNED, "epochs": 2})],
)
def test_a_method_with_two_seeds_goes_on(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, changes: dict[str, Any]
) -> None:
    """It is killed at each step in turn; what was trained is trained once only."""
    whole = train(method, seeds=(2, 1), **changes)
    draw, left = draw_batches, [10**9]

    def count(*arguments: Any) -> Iterator[Batch]:
        for batch in draw(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            yield batch

    monkeypatch.setattr("graft.training.fit.draw_batches", count)
    train(method, seeds=(2, 1), checkpoints=tmp_path / "counted", **changes)
    steps = 10**9 - left[0]
    for number in range(3):
        folder = tmp_path / str(number)
        left[0] = killed = (number + 1) * steps // 4
        with pytest.raises(Killed):
            train(method, seeds=(2, 1), checkpoints=folder, **changes)
        kept = files(folder)
        left[0] = 10**9
        assert same(train(method, seeds=(2, 1), checkpoints=folder, **changes), whole)
        assert steps - killed <= 10**9 - left[0] < steps - killed + 4  # those of an epoch at most twice
        assert set(kept) <= set(files(folder))
    train(method, seeds=(2, 1), checkpoints=tmp_path / "0", batch_size=7, **changes)
    assert len({name.partition("/")[0] for name in files(tmp_path / "0")}) == 2  # not those of other params
