"""Put what the other stages found on one page, reports/index.html; `graft report open` opens it."""

from pathlib import Path

import _checkout  # noqa: F401  (first: this checkout's src)
from graft.config.load import load_params
from graft.report.page import PARAMS, write_page

if __name__ == "__main__":
    file = write_page(Path(), load_params(PARAMS))
    print(f"report: {file.as_posix()}, {file.stat().st_size / 1e6:.1f} MB")
