"""A log of requests -> the features and scores that it has of one model."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graft.evaluation.predictions import SCORE
from graft.serving.request_log import PREFIX, TIME


class Logged(NamedTuple):
    """The requests that a log has of one model.

    Attributes:
        features: (n, d) float32; None of a model without a backbone.
        scores: (n, n_classes) float32.
        times: (n,) when they came, UTC, as `numpy.datetime64`.
        n_found: how many there are, of which these are a random sample, or all.
        n_others: how many rows are of other models, and left out.
        n_unreadable: how many files cannot be read.
    """

    features: np.ndarray | None
    scores: np.ndarray
    times: np.ndarray
    n_found: int
    n_others: int
    n_unreadable: int


def read_log(folder: Path, card: Mapping[str, Any], since: datetime | None, limit: int, seed: int) -> Logged:
    """Read the requests of one model, `limit` at most, drawn at random.

    Args:
        folder: of a `graft.serving.request_log.RequestLog`, to which servers may be writing.
        card: of the model. A file made of it for another runtime counts, too: its card only says more.
        since: leaves out what came before.

    Raises:
        FileNotFoundError: if there is no such folder, or no log in it.
    """
    ours, n_others, n_unreadable = [], 0, 0
    for file in _list(folder):
        times = _read(file, ["time"])
        if times is None:
            n_unreadable += 1
        elif _is_of(times, card):
            ours += [(file, row) for row in _later(times, since)]
        else:
            n_others += len(times)
    places = np.random.default_rng(seed).permutation(len(ours))[:limit]
    chosen: dict[Path, list[int]] = {}
    for place in sorted(places):
        chosen.setdefault(ours[place][0], []).append(ours[place][1])
    read = [(_read(file), rows) for file, rows in chosen.items()]
    tables = [table.take(rows) for table, rows in read if table is not None]
    return Logged(*_parse(tables, card), len(ours), n_others, n_unreadable)


def newest_card(folder: Path) -> dict[str, Any]:
    """Read the card of the model that the newest request in a log was made to.

    Raises:
        FileNotFoundError: if there is no such folder, or no log in it that can be read.
    """
    for file in reversed(_list(folder)):
        if (table := _read(file, ["time"])) is not None:
            return _card(table)
    raise FileNotFoundError(f"no file of the log in {folder} can be read")


def _list(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.glob(f"{PREFIX}*.parquet") if file.is_file())
    if not files:
        raise FileNotFoundError(f"{folder} holds no log: expected the folder that a server logs to")
    return files


def _card(table: pa.Table) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((table.schema.metadata or {}).get(b"card", b"{}"))
    return card


def _read(file: Path, columns: list[str] | None = None) -> pa.Table | None:
    """None of a file that is damaged, no log, or just deleted by a server as its oldest."""
    try:
        table = pq.read_table(file, columns=columns)
        return table if table.schema.field("time").type == TIME and "classes" in _card(table) else None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _is_of(table: pa.Table, card: Mapping[str, Any]) -> bool:
    logged = _card(table)
    return all(logged.get(name) == value for name, value in card.items())


def _later(table: pa.Table, since: datetime | None) -> np.ndarray:
    start = np.datetime64(since.astimezone(UTC).replace(tzinfo=None) if since else 0, "us")
    return np.flatnonzero(table["time"].to_numpy() >= start)


def _parse(
    tables: list[pa.Table], card: Mapping[str, Any]
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Features, scores and times of tables that have the same columns."""
    if not tables:
        return None, np.empty((0, len(card["classes"])), np.float32), np.empty(0, "datetime64[us]")
    table = pa.concat_tables(tables).combine_chunks()
    scores = np.stack([table[SCORE + label].to_numpy() for label in card["classes"]], axis=1)
    features = None
    if "feature" in table.column_names:
        raw = b"".join(table["feature"].to_pylist())
        features = np.frombuffer(raw, "<f2").reshape(len(table), -1).astype(np.float32)
    return features, scores, table["time"].to_numpy()
