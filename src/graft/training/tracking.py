"""The curve of a training while it runs: DVCLive's files, which `dvc plots` and VS Code read."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dvclive import Live
from scmrepo.exceptions import SCMError

Log = Callable[[Mapping[str, float]], None]  # is given the values of each epoch at its end


class _Live(Live):  # type: ignore[misc]
    def _init_dvc(self) -> None:
        with suppress(SCMError):  # it asks for HEAD, which a repository without a commit has not
            super()._init_dvc()


def log_nothing(values: Mapping[str, float]) -> None:
    """What a training logs to that nobody watches."""


@contextmanager
def log_live(folder: Path | None) -> Iterator[Log]:
    """Log to ``plots/metrics/<name>.tsv`` in a folder: the columns step (from 1) and the name.

    Each epoch is on the disk at its end, so of a training that fails all epochs before are there.
    The files hold no time and no machine, and nothing is sent: where DVC Studio's token is set,
    DVCLive would send the curves there, unless ``DVC_STUDIO_OFFLINE`` is set, as is done here; set
    it to ``false`` before to have them sent.

    Args:
        folder: replaced by what is logged; None: nothing is.
    """
    if folder is None:
        yield log_nothing
        return
    os.environ.setdefault("DVC_STUDIO_OFFLINE", "true")
    # By default it would edit dvc.yaml, and save an experiment of its own outside of `dvc exp run`.
    live = _Live(str(folder), dvcyaml=None, save_dvc_exp=False)
    live.step = 1

    def log(values: Mapping[str, float]) -> None:
        for name, value in values.items():
            live.log_metric(name, float(value))
        live.next_step()

    try:
        yield log
    finally:
        live.end()
        Path(live.metrics_file).unlink()  # the last values once more
