"""data/images -> data/manifest.csv."""

import pandas as pd

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.data import SplitParams
from graft.config.load import load_params
from graft.config.paths import IMAGES, MANIFEST
from graft.config.types import SPLITS, Seed
from graft.data.manifest import COLUMNS, write_manifest
from graft.data.raw import list_classes
from graft.data.split import make_manifest

if __name__ == "__main__":
    params = load_params({"seed": Seed, "split": SplitParams})
    images = pd.read_parquet(IMAGES, columns=COLUMNS)
    manifest = make_manifest(images, params.split, params.seed)
    write_manifest(manifest, MANIFEST)
    counts = manifest["split"].value_counts()
    left_out = sorted({*images["label"]} - {*manifest["label"]})
    without = f"; without {list_classes(left_out)}" if left_out else ""
    done(f"{', '.join(f'{counts[split]:,} {split}' for split in SPLITS)}{without}")
