"""`python forked.py dvc ...`: a command of the environment in a fork of a process that has imported DVC.

`helpers.repository.preloaded` starts it; the stages that the command runs fork from another one.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from runpy import run_path

STAGES = "GRAFT_STAGES_PRELOADED"

if __name__ == "__main__":
    if "GRAFT_PRELOADED" in os.environ:  # not in the fork
        os.environ[STAGES] = os.environ["GRAFT_PRELOADED"]
        os.environ["GRAFT_PRELOADED"] = os.environ.get("GRAFT_COMMANDS_PRELOADED", "")
        sys.path[0] = str(Path(__file__).parents[2] / "stages")
        import_module("_preloaded").run_forked()
    os.environ["GRAFT_PRELOADED"] = os.environ.pop(STAGES, "")
    sys.path[0] = ""
    del sys.argv[0]
    sys.argv[0] = str(Path(sys.executable).with_name(sys.argv[0]))
    run_path(sys.argv[0], run_name="__main__")
