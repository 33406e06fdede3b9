"""Fetch the dataset's source, as it comes, to data/raw."""

from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.datasets import load_dataset
from graft.params import load_params

if __name__ == "__main__":
    params = load_params("seed", "dataset", "source", "demo")
    dataset = load_dataset(params.dataset)
    dataset.fetch(Path("data/raw"), Path(params.source), Path(".graft/downloads"), params)
