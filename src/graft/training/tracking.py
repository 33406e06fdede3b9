"""A training run while it trains: a bar, checkpoints, and the files of DVCLive, which `dvc plots` reads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
from dvclive import Live

from graft.training.checkpoint import Checkpoint
from graft.utils.errors import naming
from graft.utils.git import GitError, git
from graft.utils.progress import Bar


class _Live(Live):  # type: ignore[misc]
    # Private: no option makes DVCLive do without HEAD, which a repository without a commit lacks.
    def _init_dvc(self) -> None:
        with suppress(GitError):
            git(Path(), "rev-parse", "HEAD")
            super()._init_dvc()


class Curve(keras.callbacks.Callback):  # type: ignore[misc]
    """Show each batch, and log each epoch to ``plots/metrics/<name>.tsv`` in a folder, if there is one.

    The columns are step (from 1) and name. Each epoch is on the disk at its end, so a training run that fails
    leaves the epochs before. The files hold no time and no machine. DVCLive's own callback would name them
    ``train/loss`` and ``eval/loss``.
    """

    def __init__(self, folder: Path | None, label: str, bar: Bar, checkpoints: Path | None) -> None:
        super().__init__()
        self.folder, self.label, self.bar, self._folder_of_checkpoints = folder, label, bar, checkpoints
        self.phases = 0
        self.checkpoints: list[Checkpoint] = []

    @cached_property
    def live(self) -> Live:
        """DVCLive's log, begun with the first epoch: a method without epochs leaves no folder."""
        os.environ.setdefault("DVC_STUDIO_OFFLINE", "true")
        # By default it would edit dvc.yaml, and save an experiment of its own outside of `dvc exp run`.
        live = _Live(str(self.folder), dvcyaml=None, save_dvc_exp=False)
        live.step = 1
        return live

    def open_checkpoint(self) -> Checkpoint | None:
        """The checkpoint of the phase that has begun; None: none is kept."""
        if self._folder_of_checkpoints is None:
            return None
        self.checkpoints.append(Checkpoint(self._folder_of_checkpoints / f"{self.phases}.npz"))
        return self.checkpoints[-1]

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self.phases += 1
        self.bar.begin(self.label, self.params["epochs"] * self.params["steps"])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        phase = "tuning" if self.phases > 1 else "epoch"  # the second is fine-tuning
        self.bar.describe(f"{self.label}, {phase} {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.bar.advance()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002
        self.bar.note(f"val. {100 * logs['val_accuracy']:.1f} %")
        if self.folder is None:
            return
        with naming(self.folder):
            for name, value in logs.items():
                self.live.log_metric(name, float(value))
            self.live.next_step()


@contextmanager
def open_curve(
    folder: Path | None, label: str = "training", checkpoints: Path | None = None
) -> Iterator[Curve]:
    """Follow a training run, whatever number of phases it has.

    Nothing is sent: where DVC Studio's token is set, DVCLive would send the curves there, unless
    ``DVC_STUDIO_OFFLINE`` is set, as is done here; set it to ``false`` before to have them sent.

    Args:
        folder: replaced by what is logged; None: nothing is.
        label: of its bar, such as ``seed 2/3``.
        checkpoints: folder with a `graft.training.checkpoint.Checkpoint` of each phase; None: none is kept.
    """
    with Bar("steps") as bar:
        curve = Curve(folder, label, bar, checkpoints)
        try:
            yield curve
        finally:
            if "live" in vars(curve):
                curve.live.end()
                Path(curve.live.metrics_file).unlink(missing_ok=True)  # the last values once more
