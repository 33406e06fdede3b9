"""`python forked.py dvc ...`: a command of the environment in a fork of a process that has its libraries.

`helpers.repository.preloaded` starts that; the stages that the command runs fork from it, too.
"""

import os
import re
import sys
from collections import OrderedDict
from importlib import import_module
from io import StringIO
from pathlib import Path
from runpy import run_path

STAGES = "GRAFT_STAGES_PRELOADED"
NULL = "tag:yaml.org,2002:null"


def keep_locks_in_c():
    """Let DVC read and write dvc.lock with ruamel's library in C: two thirds of a second less a stage.

    DVC's own way keeps comments, which a lock has none of. test_pipeline.py compares with DVC alone.
    """
    from dvc import dvcfile
    from dvc.utils.serialize import _common, _yaml
    from ruamel.yaml import YAML

    def dump(data, stream):
        yaml, text = YAML(typ="safe"), StringIO()
        yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
        yaml.representer.add_representer(OrderedDict, type(yaml.representer).represent_dict)
        yaml.representer.add_representer(type(None), lambda it, _: it.represent_scalar(NULL, ""))
        yaml.dump(data, text)
        stream.write(re.sub(": $", ":", text.getvalue(), flags=re.MULTILINE))

    def modify(path, fs=None):
        if Path(path).name == "dvc.lock":
            return _common._modify_data(path, _yaml.parse_yaml, dump, fs)
        return _yaml.modify_yaml(path, fs)

    dvcfile.modify_yaml = modify


if __name__ == "__main__":
    if "GRAFT_PRELOADED" in os.environ:  # not in the fork
        sys.path[0] = str(Path(__file__).parents[2] / "stages")
        import_module("_preloaded").run_forked()
    os.environ["GRAFT_PRELOADED"] = os.environ[STAGES]
    sys.path[0] = ""
    del sys.argv[0]
    if sys.argv[0] == "dvc":
        keep_locks_in_c()
    sys.argv[0] = str(Path(sys.executable).with_name(sys.argv[0]))
    run_path(sys.argv[0], run_name="__main__")
