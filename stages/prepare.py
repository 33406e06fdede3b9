"""Raw images -> data/images (Parquet shards) and metrics/data.json."""

import json
from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.data import Prepare
from graft.config.load import load_params
from graft.config.types import Text
from graft.data.datasets import load_dataset
from graft.data.ingest import prepare

if __name__ == "__main__":
    params = load_params({"dataset": Text, "prepare": Prepare})
    images = load_dataset(params.dataset).read(Path("data/raw"))
    report = prepare(
        images,
        params.prepare.max_rejected,
        params.prepare.max_pixels,
        Path("data/images"),
        params.prepare.label_conflicts,
    )
    Path("metrics").mkdir(exist_ok=True)
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    Path("metrics/data.json").write_text(text + "\n", encoding="utf-8")
