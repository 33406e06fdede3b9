"""The log of requests: all rows, in few bytes, whatever happens to the disk or the server."""

import json
import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.serving.logged import read_log
from graft.serving.request_log import LEAST, ROWS, RequestLog

CARD = {"classes": ["a|b", "c\nd", "e"], "weights_sha256": "0" * 64, "method": "two_stage"}
ROOM = 10 * LEAST


def draw(n, seed=0, width=16):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(len(CARD["classes"])), n).astype(np.float32)
    return rng.random((n, width), np.float32), scores, 1_700_000_000 + np.arange(n) + 1000.0 * seed


def read(folder, card=CARD, since=None, limit=100_000):
    return read_log(folder, card, since, limit, seed=0)


def by_time(logged):
    order = np.argsort(logged.times)
    return logged.features[order], logged.scores[order], logged.times[order].astype(float) / 1e6


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=6), sessions=st.integers(1, 2))
def test_what_was_added_is_read(sizes, sessions, tmp_path_factory):
    folder, parts = tmp_path_factory.mktemp("log"), [draw(n, seed) for seed, n in enumerate(sizes)]
    for session in range(sessions):
        with closing(RequestLog(folder, CARD, ROOM)) as log:
            for part in parts[session::sessions]:
                log.add(*part)
    features, scores, times = by_time(read(folder))
    expected = [np.concatenate(each) for each in zip(*parts, strict=True)]
    np.testing.assert_allclose(features, expected[0], atol=2**-11)
    np.testing.assert_array_equal(scores, expected[1])
    np.testing.assert_array_equal(times, expected[2])
    assert log.dropped == 0


def test_a_model_without_a_backbone_has_no_features(tmp_path):
    with closing(RequestLog(tmp_path, CARD, ROOM)) as log:
        log.add(None, *draw(3)[1:])
    assert read(tmp_path).features is None
    assert len(read(tmp_path).scores) == 3


def test_a_file_has_features_scores_and_times_and_nothing_else(tmp_path):
    with closing(RequestLog(tmp_path, CARD, ROOM)) as log:
        log.add(*draw(3))
    (file,) = tmp_path.iterdir()
    assert pq.read_schema(file).names == ["time", "y_score.a|b", "y_score.c\nd", "y_score.e", "feature"]
    assert json.loads(pq.read_schema(file).metadata[b"card"]) == CARD


def test_it_stays_within_its_bytes_and_the_oldest_rows_go(tmp_path):
    (tmp_path / "own.parquet").write_bytes(b"0" * LEAST)
    for seed in range(40):
        with closing(RequestLog(tmp_path, CARD, LEAST)) as log:
            log.add(*draw(100, seed, width=256))
        assert sum(file.stat().st_size for file in tmp_path.glob("requests-*")) <= LEAST
    times = np.sort(read(tmp_path).times.astype(float) / 1e6)
    assert sum(file.stat().st_size for file in tmp_path.glob("requests-*")) > LEAST / 2
    np.testing.assert_array_equal(times, np.concatenate([draw(100, s)[2] for s in range(40)])[-len(times) :])
    assert (tmp_path / "own.parquet").exists()


def test_threads_and_servers_do_not_clash(tmp_path):
    logs = [RequestLog(tmp_path, CARD, ROOM) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: logs[seed % 2].add(*draw(10, seed)), range(200)))
    for log in logs:
        log.close()
    assert len(np.unique(read(tmp_path).times)) == 2000


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from graft.serving.request_log import ROWS, RequestLog
folder = Path(sys.argv[1])
log = RequestLog(folder, {"classes": ["a"]}, 10_000_000)
log.add(np.zeros((ROWS, 4), np.float32), np.ones((ROWS, 1), np.float32), np.zeros(ROWS))
while not list(folder.glob("*.parquet")):
    pass
(folder / "requests-0-killed.parquet.tmp").write_bytes(b"half a file")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_it_goes_on(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    with closing(RequestLog(tmp_path, {"classes": ["a"]}, ROOM)) as log:
        log.add(np.zeros((5, 4), np.float32), np.ones((5, 1), np.float32), np.zeros(5))
    logged = read(tmp_path, {"classes": ["a"]})
    assert (len(logged.scores), logged.n_unreadable) == (ROWS + 5, 0)


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from graft.serving.request_log import RequestLog
log = RequestLog(Path(sys.argv[1]), {"classes": ["a"]}, 10_000_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
for start in range(3):
    log.add(np.random.rand(2000, 4).astype("f4"), np.ones((2000, 1), "f4"), np.zeros(2000))
log.close()
print(log.dropped)
"""


def test_a_full_disk_costs_rows_and_one_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 6000
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanished_is_made_again(tmp_path):
    with closing(RequestLog(tmp_path / "log", CARD, ROOM)) as log:
        shutil.rmtree(tmp_path / "log")
        log.add(*draw(3))
    assert len(read(tmp_path / "log").scores) == 3


def test_a_folder_that_cannot_be_made_again_costs_rows_and_one_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING), closing(RequestLog(tmp_path / "log", CARD, ROOM)) as log:
        shutil.rmtree(tmp_path / "log")
        (tmp_path / "log").write_text("a file")
        log.add(*draw(3))
    log.add(*draw(2))
    assert log.dropped == 5
    assert len(caplog.records) == 1


def test_other_models_and_damaged_files_are_left_out_and_counted(tmp_path):
    for card, n in ((CARD, 3), (CARD | {"format": "onnx"}, 4), (CARD | {"weights_sha256": "1" * 64}, 5)):
        with closing(RequestLog(tmp_path, card, ROOM)) as log:
            log.add(*draw(n))
    (tmp_path / "requests-0.parquet").write_bytes(b"PAR1 no")
    logged = read(tmp_path)
    assert (logged.n_found, logged.n_others, logged.n_unreadable) == (7, 5, 1)


def test_what_came_before_a_time_is_left_out_and_a_sample_is_drawn(tmp_path):
    with closing(RequestLog(tmp_path, CARD, ROOM)) as log:
        log.add(*draw(100))
    since = datetime.fromtimestamp(1_700_000_040, UTC)
    assert read(tmp_path, since=since).times.min().astype(float) / 1e6 == since.timestamp()
    assert read(tmp_path, since=since).n_found == 60
    one, other = read(tmp_path, limit=10), read(tmp_path, limit=10)
    assert (len(one.scores), one.n_found) == (10, 100)
    np.testing.assert_array_equal(one.times, other.times)


def test_what_cannot_be_a_log_is_refused(tmp_path):
    with pytest.raises(ValueError, match="max_bytes=10"):
        RequestLog(tmp_path, CARD, 10)
    with pytest.raises(FileNotFoundError, match="holds no log"):
        read(tmp_path / "none")
