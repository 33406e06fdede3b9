"""Raw images -> data/images (Parquet shards) and metrics/data.json."""

import json
from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.datasets import load_dataset
from graft.params import load_params
from graft.prepare import prepare

if __name__ == "__main__":
    params = load_params("dataset", "prepare")
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
