"""`python forked.py dvc ...`: a command of the environment in a fork of a process that has its libraries.

`helpers.repository.preloaded` starts that; the stages that the command runs fork from it, too.
"""

import os
import pickle
import re
import sys
from collections import OrderedDict
from hashlib import sha256
from importlib import import_module
from io import StringIO
from pathlib import Path
from runpy import run_path

STAGES = "GRAFT_STAGES_PRELOADED"
PARSED = "GRAFT_PARSED"
NULL = "tag:yaml.org,2002:null"


def spare_yaml(folder):
    """Let DVC parse each text once for all processes, and write dvc.lock stage by stage: those that changed.

    Half of its time goes into YAML, as it keeps the comments of dvc.lock, which has none. test_pipeline.py
    compares with DVC alone. `folder`: where results are kept.
    """
    from dvc import dvcfile
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _common, _yaml

    plain_parse = _yaml.parse_yaml

    def once(text, make):
        file = Path(folder, sha256(text.encode()).hexdigest())
        if not file.exists():
            new = file.with_suffix(f".{os.getpid()}")
            new.write_bytes(pickle.dumps(make()))
            new.rename(file)
        return pickle.loads(file.read_bytes())

    def parse(text, path, typ="safe"):
        return once(text, lambda: plain_parse(text, path)) if typ == "safe" else plain_parse(text, path, typ)

    def dump(data, stream):
        stages = [{"stages": {name: stage}} for name, stage in data["stages"].items()]
        parts = [{**data, "stages": None}, *stages]
        first, *others = [once(repr(part), lambda part=part: _in_c(part)) for part in parts]
        text = first + "".join(other.removeprefix("stages:\n") for other in others)
        once(text, lambda: data)
        stream.write(text)

    def modify(path, fs=None):
        if Path(path).name == "dvc.lock":
            return _common._modify_data(path, parse, dump, fs)
        return _yaml.modify_yaml(path, fs)

    strictyaml.parse_yaml = _yaml.parse_yaml = parse
    dvcfile.modify_yaml = modify


def _in_c(data):
    """Dump as DVC does, with ruamel's library in C."""
    from ruamel.yaml import YAML

    yaml, text = YAML(typ="safe"), StringIO()
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
    yaml.representer.add_representer(OrderedDict, type(yaml.representer).represent_dict)
    yaml.representer.add_representer(type(None), lambda it, _: it.represent_scalar(NULL, ""))
    yaml.dump(data, text)
    return re.sub(": $", ":", text.getvalue(), flags=re.MULTILINE)


if __name__ == "__main__":
    if "GRAFT_PRELOADED" in os.environ:  # not in the fork
        sys.path[0] = str(Path(__file__).parents[2] / "stages")
        import_module("_preloaded").run_forked()
    os.environ["GRAFT_PRELOADED"] = os.environ[STAGES]
    sys.path[0] = ""
    del sys.argv[0]
    if "dvc.dvcfile" in sys.modules:  # in the fork
        spare_yaml(os.environ[PARSED])
    sys.argv[0] = str(Path(sys.executable).with_name(sys.argv[0]))
    run_path(sys.argv[0], run_name="__main__")
