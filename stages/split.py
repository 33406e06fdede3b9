"""data/images -> data/manifest.csv."""

import pandas as pd

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.data import SplitParams
from graft.config.load import load_params
from graft.config.paths import IMAGES, MANIFEST
from graft.config.types import Seed
from graft.data.manifest import COLUMNS, write_manifest
from graft.data.split import make_manifest

if __name__ == "__main__":
    params = load_params({"seed": Seed, "split": SplitParams})
    images = pd.read_parquet(IMAGES, columns=COLUMNS)
    write_manifest(make_manifest(images, params.split, params.seed), MANIFEST)
