"""Less YAML for DVC, which reads dvc.yaml and dvc.lock again for each stage: half of its time."""

import pickle
import re
from collections import OrderedDict
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

ODD = re.compile(r'"|\n\n|.{100}')  # text that it writes in another style than DVC
NULL = "tag:yaml.org,2002:null"


def spare_yaml() -> None:
    """Let DVC, in this process, parse each text once, and write dvc.lock with ruamel's library in C.

    DVC's own way of writing keeps comments, which a lock has none of. These functions of it are private: a
    test compares what they read and write, and DVC's versions are bounded.
    """
    from dvc import dvcfile
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _common, _yaml

    plain, known = _yaml.parse_yaml, dict[str, bytes]()

    def parse(text: str, path: str, typ: str = "safe") -> Any:
        if typ != "safe":
            return plain(text, path, typ)
        if text not in known:
            known[text] = pickle.dumps(plain(text, path))
        return pickle.loads(known[text])  # a copy, which may be changed

    def modify(path: str, fs: Any = None) -> Any:
        if Path(path).name == "dvc.lock":
            return _common._modify_data(path, parse, _dump, fs)
        return _yaml.modify_yaml(path, fs)

    strictyaml.parse_yaml = _yaml.parse_yaml = parse
    dvcfile.modify_yaml = modify


def _dump(data: Any, stream: TextIO) -> None:
    from dvc.utils.serialize import _yaml
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe")
    text = StringIO()
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
    yaml.representer.add_representer(OrderedDict, type(yaml.representer).represent_dict)
    yaml.representer.add_representer(type(None), lambda it, _: it.represent_scalar(NULL, ""))
    yaml.dump(data, text)
    if ODD.search(text.getvalue()):
        _yaml._dump(data, stream)
    else:
        stream.write(re.sub(": $", ":", text.getvalue(), flags=re.MULTILINE))
