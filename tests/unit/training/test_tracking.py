"""The curve while a training runs: on the disk at the end of each epoch, the same as the history."""

import socket
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from dvclive import Live

from graft.training.fit import TrainingData, fit
from graft.training.tracking import Curve, open_curve
from helpers.repository import run
from helpers.training import KERAS_METHODS, make_schedule, make_training

CURVES = {"accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"}
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = np.array([0, 1] * 4)


def read(folder: Path) -> pd.DataFrame:
    """All curves as one table, as `history.csv` has them."""
    files = {file.stem: pd.read_csv(file, sep="\t") for file in (folder / "plots/metrics").iterdir()}
    columns = {name: table.set_index("step")[name] for name, table in files.items()}
    return pd.DataFrame(columns).rename_axis("epoch").reset_index()


def content(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def linear() -> keras.Sequential:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])


def train_linear(curve: Curve | None, inputs: Any = lambda _, rows: X[rows], **changes: Any) -> pd.DataFrame:
    data = TrainingData(inputs, Y, (X, 1 - Y))
    return fit(linear(), data, make_training(**changes), 0, curve=curve)


@pytest.mark.parametrize("method", KERAS_METHODS)
def test_the_curves_are_the_history(trained: Any, method: str) -> None:
    assert set(content(trained[method].live)) == {f"plots/metrics/{name}.tsv" for name in CURVES}
    history = pd.read_csv(trained[method].history)
    pd.testing.assert_frame_equal(read(trained[method].live), history, check_exact=True, check_like=True)


def test_both_phases_of_fine_tuning_make_one_curve(tuned: Any) -> None:
    curves = read(tuned.live)
    assert list(curves["epoch"]) == [1, 2, 3]
    pd.testing.assert_frame_equal(curves, tuned.outcome.history, check_exact=True, check_like=True)


def test_the_curve_is_that_of_the_first_seed(train: Any, tmp_path: Path) -> None:
    outcome = train("two_stage", seeds=(3, 1), live=tmp_path)
    pd.testing.assert_frame_equal(read(tmp_path), outcome.history, check_exact=True, check_like=True)


def test_the_learning_rate_is_that_of_the_epoch(tmp_path: Path) -> None:
    with open_curve(tmp_path) as curve:
        history = train_linear(curve, schedule=make_schedule("reduce_on_plateau"))
    assert history["learning_rate"].iloc[-1] < history["learning_rate"][0]
    pd.testing.assert_frame_equal(read(tmp_path), history, check_exact=True, check_like=True)


def test_an_epoch_is_on_the_disk_at_its_end_and_stays_there_when_a_later_one_fails(tmp_path: Path) -> None:
    def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
        if epoch:
            assert list(read(tmp_path)["epoch"]) == list(range(1, epoch + 1))
        if epoch == 3:
            raise MemoryError
        return X[rows]

    with pytest.raises(MemoryError), open_curve(tmp_path) as curve:
        train_linear(curve, inputs)
    assert list(read(tmp_path)["epoch"]) == [1, 2, 3]
    assert set(content(tmp_path)) == {f"plots/metrics/{name}.tsv" for name in CURVES}


def test_the_same_training_gives_the_same_bytes_whatever_was_there(tmp_path: Path) -> None:
    for folder, epochs in (("first", 4), ("second", 5), ("second", 4)):
        with open_curve(tmp_path / folder) as curve:
            train_linear(curve, epochs=epochs)
    assert content(tmp_path / "first") == content(tmp_path / "second")


def test_it_edits_no_dvc_yaml_and_needs_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text("plots: []\n")
    with open_curve(Path("live")) as curve:
        train_linear(curve, epochs=1)
    assert set(content(tmp_path)) == {"dvc.yaml", *(f"live/plots/metrics/{name}.tsv" for name in CURVES)}
    assert Path("dvc.yaml").read_text() == "plots: []\n"


def test_nothing_is_sent_where_studio_has_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STUDIO_OFFLINE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DVC_STUDIO_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("DVC_STUDIO_TOKEN", "token")
        monkeypatch.setenv("DVC_STUDIO_REPO_URL", "git@example.com:a/b")
        with open_curve(tmp_path) as curve:
            train_linear(curve, epochs=1)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_it_needs_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "dvc", "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    with open_curve(Path("live")) as curve:
        train_linear(curve, epochs=2)
    assert list(read(Path("live"))["epoch"]) == [1, 2]


def test_the_private_part_of_dvclive_that_is_replaced_is_there() -> None:
    """`graft.training.tracking` does without a commit by it; pyproject.toml bounds DVCLive's version."""
    assert callable(getattr(Live, "_init_dvc", None))
