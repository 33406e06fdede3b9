"""Extractions in processes of their own, which a test may kill, start together or measure.

They are forked from a server that has imported TensorFlow and not yet used it: each starts in a second.
"""

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd

import graft
from graft.config.features import Augmentation, BackboneRow

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["graft.features.views"])
SOURCES = f"{Path(graft.__file__).parent}{os.sep}"
Line = tuple[str, int]  # of graft: (file, number)
FILES = "files", 0  # stands for the calls that open, create, rename or remove a file
FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


@dataclass(frozen=True)
class Moment:
    """When a run is killed: at a line, or a change of its files, for the nth time, or after CPU seconds."""

    line: Line | None = None
    n: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """What an extraction is given: `views` of each training image; 0: of each image the plain one."""

    images: Path
    manifest: pd.DataFrame
    row: BackboneRow
    augmentation: Augmentation
    views: int
    store: Path
    output: Path

    def to(self, folder: Path, **changes: Any) -> "Job":
        """The same extraction with its store and its output in a folder."""
        return replace(self, **{"store": folder / "store", "output": folder / "features", **changes})


class Run:
    """An extraction in a process."""

    def __init__(self, job: Job, moment: Moment | None = None, together: Any = None) -> None:
        """Start it; where `together` is a barrier, it waits there before it opens the store."""
        self._reports, reports = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_main, args=(job, moment, together, reports))
        self.process.start()
        reports.close()

    def end(self) -> "Report":
        """Wait for its end."""
        reports = []
        try:
            while True:
                reports.append(self._reports.recv())
        except (EOFError, OSError):  # it ended, maybe within a report
            self.process.join()
        last = reports[-1] if reports and isinstance(reports[-1], dict) else {}
        return Report(self.process.exitcode, sum(n for n in reports if isinstance(n, int)), last)


@dataclass(frozen=True)
class Report:
    """How an extraction ended; `embedded`: rows the backbone is known to have finished."""

    exitcode: int | None
    embedded: int
    last: dict[str, Any]


def extract(job: Job, backbone: Any) -> dict[str, float]:
    """Extract in this process."""
    from graft.features.embedding import Embedding
    from graft.features.extraction import extract as run
    from graft.features.format import plain_rows, view_rows
    from graft.features.views import ViewEmbedding

    made = backbone, job.row, "random", "float32"
    if job.views:
        rows, embedding = view_rows(job.manifest, job.views), ViewEmbedding(*made, job.augmentation)
    else:
        rows, embedding = plain_rows(job.manifest), Embedding(*made)
    return run(job.images, rows, embedding, job.store, None, job.output)


def _main(job: Job, moment: Moment | None, together: Any, reports: Connection) -> None:
    from graft.models.backbones import Backbone

    passed: Counter[Line] = Counter()
    _report_rows(reports)
    if moment is not None:
        _kill_at(moment, job.output.parent, passed)
    backbone = Backbone(job.row, "random", 0).build()
    if together is not None:
        together.wait()
    try:
        last: dict[str, Any] = {"counts": extract(job, backbone)}
    except OSError as error:
        last = {"error": str(error), "errno": error.errno}
    sys.settrace(None)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reports.send({**last, "passed": dict(passed), "cpu_seconds": process_time(), "maxrss": rss})


def _report_rows(reports: Connection) -> None:
    """Send the number of rows of each batch that the backbone has finished."""
    from graft.features.engines import keras as module

    make = module.make_embedder

    def make_reporting(*args: Any) -> Callable[[np.ndarray], np.ndarray]:
        embed = make(*args)

        def embed_and_report(pixels: np.ndarray) -> np.ndarray:
            features = embed(pixels)
            reports.send(len(pixels))
            return features

        return embed_and_report

    module.make_embedder = make_reporting


def _kill_at(moment: Moment, folder: Path, passed: Counter[Line]) -> None:
    """Count the lines of graft and the events of the folder's files that come by; kill at one of them."""

    def count(here: Line) -> None:
        passed[here] += 1
        if here == moment.line and passed[here] == moment.n:
            os.kill(os.getpid(), signal.SIGKILL)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(SOURCES):
            return None
        if event == "line":
            count((file.removeprefix(SOURCES), frame.f_lineno))
        return trace

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(args[0]).startswith(str(folder)):
            count(FILES)

    if moment.seconds:
        # Like that of SIGKILL, its default action ends a process at once, wherever it is.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, moment.seconds)
        return
    sys.addaudithook(audit)
    if moment.line != FILES:
        threading.settrace(trace)
        sys.settrace(trace)
