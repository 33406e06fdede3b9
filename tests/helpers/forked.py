"""`python forked.py dvc ...`: a command of the environment in a fork of a process that has its libraries.

`helpers.repository.preloaded` starts that; the stages that the command runs fork from it, too.
"""

import os
import pickle
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from runpy import run_path

STAGES = "GRAFT_STAGES_PRELOADED"
PARSED = "GRAFT_PARSED"


def parse_once(folder):
    """Let DVC parse each text of YAML once for all processes, of which `folder` keeps the results.

    Half of its time goes into YAML. test_pipeline.py compares with DVC alone.
    """
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    plain = _yaml.parse_yaml

    def parse(text, path, typ="safe"):
        if typ != "safe":
            return plain(text, path, typ)
        file = Path(folder, sha256(text.encode()).hexdigest())
        if not file.exists():
            new = file.with_suffix(f".{os.getpid()}")
            new.write_bytes(pickle.dumps(plain(text, path)))
            new.rename(file)
        return pickle.loads(file.read_bytes())

    strictyaml.parse_yaml = _yaml.parse_yaml = parse


if __name__ == "__main__":
    if os.environ.get("GRAFT_PRELOADED"):  # not in the fork
        sys.path[0] = str(Path(__file__).parents[2] / "stages")
        import_module("_preloaded").run_forked()
    os.environ["GRAFT_PRELOADED"] = os.environ[STAGES]
    sys.path[0] = ""
    del sys.argv[0]
    if "dvc.dvcfile" in sys.modules:  # in the fork
        parse_once(os.environ[PARSED])
        import_module("graft.utils.quick_dvc").quicken_dvc()
    sys.argv[0] = str(Path(sys.executable).with_name(sys.argv[0]))
    run_path(sys.argv[0], run_name="__main__")
