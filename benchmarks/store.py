"""`python benchmarks/store.py`: seconds and memory that an extraction's bookkeeping takes of a million rows.

The rows are made up, with tiny features; the backbone, whose memory does not grow, is left out. A process of
its own fills the store, so that the peak is of what opens it, looks all rows up and assembles the shards.
"""

import os
import resource
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from graft.features.format import Row, plain_rows
from graft.features.store import FeatureStore
from measure import KIB

FINGERPRINT, SHAPE, BATCH = {"layer": "made up"}, (8,), 16


def main(rows: Annotated[int, typer.Option(help="How many.")] = 1_000_000) -> None:
    """Fill a store in batches of 16, open it with and without its index, look up, and assemble."""
    with tempfile.TemporaryDirectory(prefix="graft-store-") as folder:
        root, images = Path(folder, "store"), Path(folder, "images")
        if not os.fork():
            _fill(root, images, rows)
            os._exit(0)
        os.wait()
        print(f"{rows:,} rows in {len(list(root.rglob('*.parquet'))):,} entries")
        started = _say("imports", perf_counter())
        store = FeatureStore(root, FINGERPRINT, SHAPE)
        started = _say("opened without an index, which is written", started)
        del store
        wanted = plain_rows(_manifest(rows))
        started = _say("the rows wanted", started)
        store = FeatureStore(root, FINGERPRINT, SHAPE)
        started = _say("opened with it", started)
        assert store.missing(wanted) == []
        started = _say("looked up", started)
        _assemble(images, wanted, store, Path(folder, "features"))
        _say("assembled", started)


def _keys(n: int) -> list[str]:
    return sorted(sha256(str(i).encode()).hexdigest() for i in range(n))


def _manifest(n: int) -> pd.DataFrame:
    keys = _keys(n)
    return pd.DataFrame({"key": keys, "path": keys, "label": "a", "split": "train"})


def _fill(root: Path, images: Path, n: int) -> None:
    store = FeatureStore(root, FINGERPRINT, SHAPE)
    rows: list[Row] = plain_rows(_manifest(n))
    images.mkdir()
    pd.DataFrame({"key": _keys(n)}).to_parquet(images / "0.parquet")
    values = np.random.default_rng(0).normal(size=(BATCH, *SHAPE)).astype(np.float16)
    os.fsync = lambda _: None  # type: ignore[assignment]  # minutes, and not what is measured
    for start in range(0, n, BATCH):
        batch = rows[start : start + BATCH]
        store.put(batch, values[: len(batch)])


def _assemble(images: Path, rows: list[Row], store: FeatureStore, output: Path) -> None:
    from graft.features import extraction  # with TensorFlow

    embedding: Any = SimpleNamespace()
    extraction._assemble(images, rows, embedding, store, output)


def _say(what: str, since: float) -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / 1e6
    print(f"{what}: {perf_counter() - since:.1f} s, peak {peak:,.0f} MB", file=sys.stdout, flush=True)
    return perf_counter()


if __name__ == "__main__":
    typer.run(main)
