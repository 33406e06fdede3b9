"""`python forked.py dvc ...`: a command of the environment in a fork of a process that has its libraries.

`helpers.repository.preloaded` starts that; the stages that the command runs fork from it, too.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from runpy import run_path

STAGES = "GRAFT_STAGES_PRELOADED"

if __name__ == "__main__":
    if os.environ.get("GRAFT_PRELOADED"):  # not in the fork
        sys.path[0] = str(Path(__file__).parents[2] / "stages")
        import_module("_preloaded").run_forked()
    os.environ["GRAFT_PRELOADED"] = os.environ[STAGES]
    sys.path[0] = ""
    del sys.argv[0]
    if sys.argv[0] == "dvc":
        import_module("graft.utils.dvc_lock").keep_locks_in_c()  # test_pipeline.py compares with DVC alone
    sys.argv[0] = str(Path(sys.executable).with_name(sys.argv[0]))
    run_path(sys.argv[0], run_name="__main__")
