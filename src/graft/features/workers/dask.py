"""Workers of Dask: processes of this machine, or of any cluster that has a scheduler."""

import logging
import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

from dask.distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.comm import CommClosedError

from graft.config.features import Precision
from graft.data.workers import PLENTY
from graft.features.embedding import Embedding
from graft.features.engines.keras import Engine
from graft.features.format import Row
from graft.features.store import FeatureStore, fingerprint_id
from graft.features.workers.worker import Job, WorkerError, embed_part, identify, list_shards, read_part
from graft.utils.progress import Bar

BATCHES = 4  # in a part: what is lost at most when a worker is killed
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # Ctrl-C is the driver's to handle
AHEAD = 2  # parts for each worker, so that it never waits


@contextmanager
def start_workers(n: int) -> Iterator[Client]:
    """Start n workers on this machine, of a thread each; none is left after the block, nor after a kill."""
    _silence()
    each = {"threads_per_worker": 1, "memory_limit": 0, "security": True}  # of other users of the machine
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    options = {**each, **quiet, "preload": DEAF}
    with LocalCluster(n_workers=n, **options) as cluster, Client(cluster) as client:
        yield client


@contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """Connect to a scheduler, and wait for a worker.

    Raises:
        WorkerError: if there is no scheduler.
    """
    _silence()
    try:
        client = Client(scheduler)
    except (OSError, ValueError) as error:
        raise WorkerError(f"scheduler={scheduler!r}: no Dask scheduler answers there ({error})") from None
    with client:
        if not client.nthreads():
            print(f"{scheduler} has no worker yet: waiting for one", flush=True)
            client.wait_for_workers(1)
        yield client


def _silence() -> None:
    for name in (
        "distributed",
        "distributed.client",
        "asyncio",
        "tornado",
    ):  # what goes wrong is said once, by graft
        logging.getLogger(name).setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Cluster:
    """The workers that a client reaches, to fill a store as `graft.features.filling.fill` does.

    Attributes:
        client: of a Dask scheduler.
        recipe: the arguments of `graft.features.views.build_embeddings`.
    """

    client: Client
    recipe: tuple[SimpleNamespace, Engine, Precision]

    def fill(
        self, images: Path, rows: Sequence[Row], embedding: Embedding, store: FeatureStore, name: str
    ) -> None:
        """Embed rows on the workers, part by part.

        Raises:
            WorkerError: if a worker is refused or fails, or the scheduler is lost. What is embedded is kept.
        """
        folder = store.root / fingerprint_id(embedding.fingerprint)
        probe = folder.resolve() / f"{uuid4().hex}.tmp"
        probe.touch()
        views = "augmentation" in embedding.fingerprint
        place = images.resolve(), list_shards(images), store.root.resolve(), probe
        job = Job(pickle.dumps(self.recipe), views, identify(embedding), *place)
        try:
            self._run(job, rows, min(BATCHES * embedding.row.batch_size, PLENTY - 1), store, name)
        except (CancelledError, KilledWorker, CommClosedError, TimeoutError) as error:
            raise WorkerError(
                f"the scheduler or a worker is lost ({type(error).__name__}: {error}); what is embedded is "
                "kept: run this again"
            ) from None
        except (ImportError, RuntimeError) as error:
            raise WorkerError(
                f"the scheduler or a worker lacks what this machine has ({' '.join(str(error).split())}): "
                "give it the same environment"
            ) from None
        finally:
            probe.unlink(missing_ok=True)
            store.refresh()

    def _run(self, job: Job, rows: Sequence[Row], length: int, store: FeatureStore, name: str) -> None:
        waiting = deque(rows[i : i + length] for i in range(0, len(rows), length))
        running: dict[Future, Sequence[Row]] = {}
        completed, send = as_completed(), False
        with Bar("images") as bar:
            bar.begin(name, len(rows))
            while waiting or running:
                while waiting and len(running) < AHEAD * max(1, len(self.client.nthreads())):
                    part = waiting.popleft()
                    keys = {key for key, _ in part}
                    table = read_part(job.images, keys, job.listing) if send else None
                    future = self.client.submit(embed_part, job, part, table, pure=False)
                    running[future] = part
                    completed.add(future)
                future = next(completed)
                part, batches = running.pop(future), future.result()
                if batches is None:  # its worker does not see data/images
                    send = True
                    waiting.appendleft(part)
                    continue
                for batch in batches:
                    store.put(*batch)
                job.probe.touch()  # `graft features gc` takes what is unchanged for an hour as left behind
                bar.advance(len(part))
