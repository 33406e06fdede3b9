"""Fetch the dataset's source, as it comes, to data/raw."""

from pathlib import Path

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.data import Folder
from graft.config.load import load_params
from graft.config.paths import DOWNLOADS, RAW
from graft.config.types import Text
from graft.data.datasets import load_dataset

if __name__ == "__main__":
    params = load_params({"dataset": Text, "source": Text, "folder": Folder})
    options = {"options": params.folder} if params.dataset == "folder" else {}
    load_dataset(params.dataset).fetch(RAW, Path(params.source), DOWNLOADS, **options)
    size = sum(file.stat().st_size for file in RAW.rglob("*") if file.is_file())
    done(f"{params.dataset}: {size / 1e6:,.1f} MB")
