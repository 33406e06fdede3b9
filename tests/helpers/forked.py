"""`python forked.py dvc ...`: a command of the environment in a fork of a process that has its libraries.

`helpers.repository.preloaded` starts that; the stages that the command runs fork from it, too.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from runpy import run_path

STAGES = "GRAFT_STAGES_PRELOADED"


def read_locks_in_c():
    """Let DVC read dvc.lock with ruamel's library in C before it adds to it: half a second less a stage.

    DVC's own reader is for comments, which a lock has none of. test_pipeline.py compares with DVC alone.
    """
    from dvc import dvcfile
    from dvc.utils.serialize import _common, _yaml

    def modify(path, fs=None):
        parse = _yaml.parse_yaml if Path(path).name == "dvc.lock" else _yaml.parse_yaml_for_update
        return _common._modify_data(path, parse, _yaml._dump, fs)

    dvcfile.modify_yaml = modify


if __name__ == "__main__":
    if "GRAFT_PRELOADED" in os.environ:  # not in the fork
        sys.path[0] = str(Path(__file__).parents[2] / "stages")
        import_module("_preloaded").run_forked()
    os.environ["GRAFT_PRELOADED"] = os.environ[STAGES]
    sys.path[0] = ""
    del sys.argv[0]
    if sys.argv[0] == "dvc":
        read_locks_in_c()
    sys.argv[0] = str(Path(sys.executable).with_name(sys.argv[0]))
    run_path(sys.argv[0], run_name="__main__")
