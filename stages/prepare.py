"""Raw images -> data/images (Parquet shards) and metrics/data.json."""

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.data import Prepare
from graft.config.load import load_params
from graft.config.paths import EDITS, IMAGES, METRICS, RAW
from graft.config.types import Text
from graft.data.datasets import load_dataset
from graft.data.edits import read_edits
from graft.data.ingest import prepare
from graft.data.raw import Ignored, list_classes
from graft.utils.errors import naming
from graft.utils.files import write_json
from graft.utils.progress import is_live, track

if __name__ == "__main__":
    params = load_params({"dataset": Text, "prepare": Prepare})
    dataset = load_dataset(params.dataset)
    total = sum(1 for _ in dataset.read(RAW)) if is_live() else None
    faults = getattr(dataset, "KNOWN_FAULTS", {})
    ignored = getattr(dataset, "read_ignored", lambda _: Ignored())(RAW)
    images = track(dataset.read(RAW), "prepare", total)
    with naming(IMAGES):
        report = prepare(images, params.prepare, IMAGES, faults, ignored, read_edits(EDITS))
    write_json({**report, "notice": getattr(dataset, "NOTICE", None)}, METRICS / "data.json")
    kept = f"{report['n_images']:,} images of {list_classes(report['classes'])}"
    done(f"{kept}, {report['n_rejected']:,} rejected, {report['duplicates']:,} duplicates folded")
