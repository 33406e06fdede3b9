"""Put what the other stages found on one page, reports/index.html; `graft report open` opens it."""

from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.evaluation import Metrics
from graft.config.load import load_params
from graft.config.types import Text
from graft.report.inputs import read_inputs
from graft.report.page import build_page
from graft.report.provenance import describe_commit, name_dataset

if __name__ == "__main__":
    params = load_params({"dataset": Text, "source": Text, "metrics": Metrics})
    name = name_dataset(params.dataset, params.source)
    page = build_page(read_inputs(Path()), name, params.metrics.calibration_bins, describe_commit(Path()))
    file = Path("reports/index.html")
    file.parent.mkdir(exist_ok=True)
    file.write_text(page, encoding="utf-8", newline="\n")
    print(f"report: {file.as_posix()}, {file.stat().st_size / 1e6:.1f} MB")
