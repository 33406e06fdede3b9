"""Fetch the dataset's source, as it comes, to data/raw; list it where it is one of one's own."""

from pathlib import Path

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.data import Folder
from graft.config.load import load_params
from graft.config.paths import DOWNLOADS, RAW
from graft.config.types import Text
from graft.data.datasets import load_dataset
from graft.data.listing import LISTING, read_listing

if __name__ == "__main__":
    params = load_params({"dataset": Text, "source": Text, "folder": Folder})
    options = {"options": params.folder} if params.dataset == "folder" else {}
    load_dataset(params.dataset).fetch(RAW, Path(params.source), DOWNLOADS, **options)
    if listed := (RAW / LISTING).is_file():
        sizes = [file.size for file in read_listing(RAW)]
    else:
        sizes = [file.stat().st_size for file in RAW.rglob("*") if file.is_file()]
    done(f"{params.dataset}: {sum(sizes) / 1e6:,.1f} MB{', listed where they are' * listed}")
