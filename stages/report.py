"""Put what the other stages found on one page, reports/index.html; `graft report open` opens it."""

from pathlib import Path

from rich.console import Console

from _stage import done  # first: this checkout's src, and the line that says what begins
from graft.config.load import load_params
from graft.report.current import read_current
from graft.report.page import PARAMS, write_page
from graft.report.terminal import print_table
from graft.utils.timing import read_timings

if __name__ == "__main__":
    file = write_page(Path(), load_params(PARAMS))
    done(f"{file.as_posix()}, {file.stat().st_size / 1e6:.1f} MB")
    print_table(read_current(Path()), read_timings(Path()), Console())
