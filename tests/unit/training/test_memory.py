"""Training in bounded memory: arrays above `features.memory_limit` lie in a file."""

import hashlib
import shutil
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.config.training import HeadMethod
from graft.features.format import write_features
from graft.methods.params import Params
from graft.utils.memory import allocate
from helpers.extraction import CONTEXT

PLAIN = {"precision": "float32"}  # of a fingerprint what training reads
N_TRAIN, N_SCORED, SHAPE = 32, 8_000, (5, 5, 512)


class TestAllocate:
    @given(shape=st.lists(st.integers(1, 9), max_size=3), dtype=st.sampled_from(["u1", "f2", "f4"]))
    def test_an_array_above_the_limit_is_a_file(
        self, tmp_path_factory: pytest.TempPathFactory, shape: list[int], dtype: str
    ) -> None:
        scratch = tmp_path_factory.mktemp("arrays") / "folder" / "x.npy"
        size = np.zeros(shape, dtype).nbytes / 1e9
        inside = allocate(tuple(shape), dtype, size * 1.01, scratch)
        assert (inside.shape, inside.dtype, scratch.exists()) == (tuple(shape), np.dtype(dtype), False)
        mapped = allocate(tuple(shape), dtype, size * 0.99, scratch)
        assert (mapped.shape, mapped.dtype, type(mapped)) == (tuple(shape), np.dtype(dtype), np.memmap)
        mapped[...] = 7
        mapped.flush()
        assert (np.load(scratch) == np.full(shape, 7, dtype)).all()

    def test_whoever_still_maps_the_old_file_keeps_it(self, tmp_path: Path) -> None:
        old = allocate((100,), np.uint8, 1e-9, tmp_path / "x.npy")
        old[:] = 7
        allocate((200,), np.uint8, 1e-9, tmp_path / "x.npy")[:] = 8
        assert (old == 7).all()

    def test_a_disk_without_room(self, tmp_path: Path) -> None:
        with pytest.raises(
            OSError,
            match=r"no room for .*x\.npy: expected 1000000000\.00 GB on .*, found .* GB; .*memory_limit=2 ",
        ):
            allocate((10**18,), np.uint8, 2.0, tmp_path / "x.npy")
        assert not (tmp_path / "x.npy").exists()


def train(folder: Path, params: HeadMethod, memory_limit: float, answers: Connection) -> None:
    """Train two_stage_views and send by how many bytes the anonymous memory of this process grew at most."""
    import keras

    from graft.methods.run import Run
    from graft.methods.two_stage_views import train as train_method
    from graft.models.serialization import save_model

    backbone = keras.Sequential([keras.Input((5, 5, 3)), keras.layers.Conv2D(512, 1)])
    save_model(backbone, folder / "backbone.keras")
    before, peaks, ended = anonymous_memory(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            peaks.append(anonymous_memory())

    watcher = threading.Thread(target=watch, daemon=True)  # else it would outlive an error
    watcher.start()
    manifest = pd.read_csv(folder / "manifest.csv")
    places = {name: folder / name for name in ("images", "features", "views", "temporary")}
    run = Run(manifest, backbone=folder / "backbone.keras", **places)
    values = {"backbone": "x", "weights": "random", "memory_limit": memory_limit, "seeds": [0], "views": 1}
    train_method(SimpleNamespace(**values, two_stage_views=params), run)
    ended.set()
    watcher.join()
    answers.send(max(peaks) - before)


def anonymous_memory() -> int:
    """Bytes of this process that no file holds: what must fit into memory, as mapped files need not."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Features of 206 MB: few to train on, many to score. They are alike, so that they compress."""
    folder = tmp_path_factory.mktemp("large")
    for name in ("features", "views"):
        (folder / name).mkdir()
    keys = sorted(hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(N_TRAIN + N_SCORED))
    splits = ["train"] * N_TRAIN + ["validation", "test"] * (N_SCORED // 2)
    manifest = pd.DataFrame({"key": keys, "path": keys, "label": list("ab") * (len(keys) // 2)})
    manifest.assign(split=splits).to_csv(folder / "manifest.csv", index=False)
    parts = np.array_split(np.array(keys), 16)
    for i, part in enumerate(parts):
        values = np.full((len(part), *SHAPE), i / 16, np.float16)
        write_features(folder / "features" / f"{i:x}.parquet", [(key, 0) for key in part], values, PLAIN)
    views = [(key, 1) for key in keys[:N_TRAIN]]
    write_features(folder / "views" / "0.parquet", views, np.ones((N_TRAIN, *SHAPE), np.float16), PLAIN)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's account of memory in /proc")
@pytest.mark.parametrize(("memory_limit", "least", "most"), [(0.02, 0.0, 0.5), (1.0, 1.0, 2.0)])
def test_peak_memory_against_the_size_of_the_features(
    folder: Path, params: Params, memory_limit: float, least: float, most: float
) -> None:
    block = params.two_stage_views.model_copy(update={"epochs": 1, "batch_size": 32})
    answer, answers = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=train, args=(folder, block, memory_limit, answers))
    process.start()
    answers.close()
    grown = answer.recv()
    process.join()
    size = (2 * N_TRAIN + N_SCORED) * int(np.prod(SHAPE)) * 2
    assert least < grown / size < most
