"""Raw images -> data/images (Parquet shards) and metrics/data.json."""

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.data import Prepare
from graft.config.load import load_params
from graft.config.paths import IMAGES, METRICS, RAW
from graft.config.types import Text
from graft.data.datasets import load_dataset
from graft.data.ingest import prepare
from graft.utils.files import write_json

if __name__ == "__main__":
    params = load_params({"dataset": Text, "prepare": Prepare})
    dataset = load_dataset(params.dataset)
    report = prepare(dataset.read(RAW), params.prepare, IMAGES, getattr(dataset, "KNOWN_FAULTS", {}))
    write_json({**report, "notice": getattr(dataset, "NOTICE", None)}, METRICS / "data.json")
