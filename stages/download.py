"""Fetch the dataset's source, as it comes, to data/raw."""

from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.load import load_params
from graft.config.paths import DOWNLOADS, RAW
from graft.config.types import Text
from graft.data.datasets import load_dataset

if __name__ == "__main__":
    params = load_params({"dataset": Text, "source": Text})
    load_dataset(params.dataset).fetch(RAW, Path(params.source), DOWNLOADS)
