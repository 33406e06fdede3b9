"""Raw images -> data/images (Parquet shards) and metrics/data.json."""

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.data import Prepare
from graft.config.load import load_params
from graft.config.paths import IMAGES, METRICS, RAW
from graft.config.types import Text
from graft.data.datasets import load_dataset
from graft.data.ingest import prepare
from graft.utils.files import write_json
from graft.utils.progress import is_live

if __name__ == "__main__":
    params = load_params({"dataset": Text, "prepare": Prepare})
    read = load_dataset(params.dataset).read
    total = sum(1 for _ in read(RAW)) if is_live() else None
    report = prepare(read(RAW), params.prepare, IMAGES, total)
    write_json(report, METRICS / "data.json")
    kept = f"{report['n_images']:,} images of {len(report['classes']):,} classes"
    done(f"{kept}, {report['n_rejected']:,} rejected, {report['duplicates']:,} duplicates folded")
