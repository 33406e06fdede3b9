"""Tables of predictions -> CSV, JSON, Parquet or lines for a person, each written as the tables come."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from graft.serving.classifier import Classifier
from graft.serving.stream import Answers
from graft.utils.files import whole
from graft.utils.terminal import printable

STDOUT = "-"
WIDEST = 40  # characters of a label on a terminal


class Writer(Protocol):
    """Something that takes one table of predictions after the other."""

    def write(self, answers: Answers) -> None:
        """Write the rows of a batch."""

    def close(self) -> None:
        """Write what stands at the end."""


class CsvWriter:
    """CSV with a header; empty where there is no value."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._begun = file, False

    def write(self, answers: Answers) -> None:
        answers.table.to_csv(self._file, index=False, header=not self._begun, lineterminator="\n")
        self._begun = True

    def close(self) -> None:
        self._file.flush()


class JsonWriter:
    """A JSON array of an object an image, each on a line; null where there is no value."""

    def __init__(self, file: TextIO, embeddings: bool) -> None:
        self._file, self._embeddings, self._before = file, embeddings, "[\n"

    def write(self, answers: Answers) -> None:
        for row in _records(answers, self._embeddings):
            self._file.write(self._before + json.dumps(row, ensure_ascii=False, allow_nan=False))
            self._before = ",\n"

    def close(self) -> None:
        self._file.write("\n]\n" if self._before == ",\n" else "[]\n")
        self._file.flush()


class ParquetWriter:
    """Parquet, a row group a batch; ``embedding`` is a list of float32."""

    def __init__(self, path: Path, embeddings: bool) -> None:
        self._path, self._embeddings = path, embeddings
        self._file: pq.ParquetWriter | None = None

    def write(self, answers: Answers) -> None:
        table = pa.Table.from_pandas(answers.table, preserve_index=False)
        for name in ("path", "label", "error"):  # a batch may have none: its type would be null
            table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
        if self._embeddings:
            table = table.append_column("embedding", pa.array(_lists(answers), pa.list_(pa.float32())))
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._file.write_table(table)

    def close(self) -> None:
        if self._file:
            self._file.close()


class LineWriter:
    """A line an image for people: the likeliest labels with their scores, then the path."""

    def __init__(self, file: TextIO, model: Classifier, top: int) -> None:
        self._file, self._model, self._top = file, model, min(top, len(model.classes))
        self._labels = [printable(name, WIDEST) for name in model.classes]
        self._width = max(map(len, ["label", *self._labels]))
        heads = [f"{'label':{self._width}}  score %"] * self._top
        self._file.write("  ".join([*heads, "path"]) + "\n")

    def write(self, answers: Answers) -> None:
        scores = answers.table[self._model.columns].to_numpy(np.float64)
        for path, error, row in zip(answers.table["path"], answers.table["error"], scores, strict=True):
            place = printable(path if pd.isna(error) else f"{path}: {error}")
            self._file.write("  ".join([*self._best(row), place]) + "\n")

    def close(self) -> None:
        self._file.flush()

    def _best(self, scores: np.ndarray) -> Iterator[str]:
        for number in np.argsort(-scores, kind="stable")[: self._top]:
            known = not np.isnan(scores[number])
            label, score = self._labels[number], f"{100 * scores[number]:.1f}"
            yield f"{label if known else '-':{self._width}}  {score if known else '-':>7}"


@contextmanager
def opened_text(name: str) -> Iterator[TextIO]:
    """Open a file to write text, or standard output for ``-``; the file is there once it is whole."""
    if name == STDOUT:
        yield sys.stdout
        return
    with whole(Path(name)) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


def _lists(answers: Answers) -> list[list[float] | None]:
    if answers.features is None:
        return [None] * len(answers.table)
    return [None if np.isnan(row).any() else row.tolist() for row in answers.features]


def _records(answers: Answers, embeddings: bool) -> Iterator[dict[str, Any]]:
    lists = _lists(answers) if embeddings else []
    for i, row in enumerate(answers.table.to_dict("records")):
        plain = {str(name): _plain(value) for name, value in row.items()}
        yield {**plain, "embedding": lists[i]} if embeddings else plain


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value if isinstance(value, str) else round(float(value), 6)
