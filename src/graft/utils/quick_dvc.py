"""Less work for DVC, which reads its files, and indexes all outputs, for each stage again."""

import pickle
import re
from collections import OrderedDict
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

ODD = re.compile(r'"|\n\n|.{100}')  # text that it writes in another style than DVC
NULL = "tag:yaml.org,2002:null"


def quicken_dvc() -> None:
    """Let DVC, in this process, parse each text once, write dvc.lock in C, and list the outputs once.

    DVC's own way of writing keeps comments, which a lock has none of. These functions of it are private: a
    test compares what they read, write and list, and DVC's versions are bounded.
    """
    from dvc import dvcfile
    from dvc.stage import utils
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
    utils._get_stage_files = _list_stage_files


def _list_stage_files(stage: Any) -> list[str]:
    """List a stage's files for Git: its own, and those that no stage puts into DVC's cache."""
    from dvc.utils import relpath

    file = stage.dvcfile
    cached = _list_cached(stage.repo, stage.repo.root_dir)
    parts = [part for part in (*stage.deps, *stage.outs) if not part.use_scm_ignore and part.is_in_repo]
    paths = [part.fs_path for part in parts]
    files = [path for path in paths if cached.isdisjoint((path, *map(str, Path(path).parents)))]
    locks = [file._lockfile.relpath] if hasattr(file, "_lockfile") else []
    return [file.relpath, *locks, *map(relpath, files)]


@lru_cache(maxsize=1)
def _list_cached(repo: Any, root: str) -> frozenset[str]:  # noqa: ARG001
    return frozenset(out.fs_path for out in repo.index.outs if out.use_cache)


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
