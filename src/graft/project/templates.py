"""The files of graft's repository that a project is made of: its graph, its parameters, its stages."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from graft.project.code import CODE, FILE, PACKAGE

GRAPH_COMMENT = (
    "# The graph in flow order. A stage depends on the digest of its code in graft.yaml, which\n"
    "# `graft upgrade` writes, on its script, and on its inputs.\n"
)
PARAMS_COMMENT = "# Every hyper-parameter of this project, and the only configuration. Edit by hand or with\n"
PARAMS = "params.yaml"
NO_TEXT = "null", "true", "false"  # without quotes
SIZES = {"mobilenet_v2": 224}  # pixels, where the demo's photos are smaller than ImageNet's were


def source_folder() -> Path:
    """The folder with ``dvc.yaml``, ``params.yaml`` and ``stages``: of the wheel, else of the checkout."""
    packed = Path(str(files("graft"))) / "project" / "files"
    return packed if packed.is_dir() else PACKAGE.parents[1]


def project_files(params: str) -> dict[str, str]:
    """The content of each file that graft writes in a project, by name; `params` is that of params.yaml."""
    source = source_folder()
    scripts = {f"stages/{each.name}": each.read_text(encoding="utf-8") for each in source.glob("stages/*.py")}
    return {
        "dvc.yaml": project_graph(_read("dvc.yaml")),
        PARAMS: params,
        ".gitignore": _read(".gitignore"),
        ".dvcignore": _read(".dvcignore"),
        "edits.csv": _read("edits.csv").partition("\n")[0] + "\n",
        **dict(sorted(scripts.items())),
    }


def kept(contents: Mapping[str, str]) -> dict[str, str]:
    """The files that an upgrade replaces: all but params.yaml, which it adds keys to."""
    return {name: text for name, text in contents.items() if name != PARAMS}


def _read(name: str) -> str:
    return (source_folder() / name).read_text(encoding="utf-8")


def read_graph() -> dict[str, Any]:
    """Read the dvc.yaml of graft's repository."""
    return dict(YAML(typ="safe").load(source_folder() / "dvc.yaml"))


def project_graph(text: str) -> str:
    """Turn the dvc.yaml of graft's repository into that of a project.

    Each stage depends on ``code.<stage>`` of graft.yaml where it depends on modules of graft there.
    """
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 200, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    graph = yaml.load(text.partition("stages:")[1] + text.partition("stages:")[2])
    for name, stage in bodies(graph):
        stage["deps"][:] = [dep for dep in stage["deps"] if not str(dep).startswith("src/")]
        if "params" not in stage:
            stage.insert(list(stage).index("deps") + 1, "params", [])
        stage["params"] = [*stage["params"], {FILE.name: [f"{CODE}.{name}"]}]
    written = StringIO()
    yaml.dump(graph, written)
    return GRAPH_COMMENT + written.getvalue()


def bodies(graph: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The name and the body of each stage of a dvc.yaml; those of a ``foreach`` stand one level deeper."""
    for name, stage in graph["stages"].items():
        yield name, stage.get("do", stage)


def project_params(images: str, backbone: str, weights: str) -> str:
    """The params.yaml of a new project: that of graft's repository, with one row of `backbones`.

    Args:
        images: value of ``source``.
        backbone: name of a row.
        weights: value of ``weights``.

    Raises:
        ValueError: if there is no such row.
    """
    before, _, rows = _read(PARAMS).partition("\nbackbones:\n")
    blocks = {
        block.split(":")[0].strip(): block for block in re.findall(r"^  \w+:\n(?:    .*\n?)+", rows, re.M)
    }
    if backbone not in blocks:
        raise ValueError(f"backbone must be one of {', '.join(sorted(blocks))}, not {backbone!r}")
    own = blocks[backbone]
    row = _commented(
        own, next(each for each in blocks.values() if ("library:" in each) == ("library:" in own))
    )
    if backbone in SIZES:
        row = re.sub(
            r"(image_size: )\d+(.*)", rf"\g<1>{SIZES[backbone]}           # pixels, height = width", row
        )
    for key, value in {
        "dataset": "folder",
        "source": images,
        "backbone": backbone,
        "weights": weights,
    }.items():
        before = set_value(before, key, value)
    before = re.sub(r"^# Every .*\n", PARAMS_COMMENT, before)
    before = re.sub(r"# --- backbones: .*", "# --- the backbone ".ljust(98, "-"), before)
    return f"{before}\nbackbones:\n{row}"


def _commented(row: str, first: str) -> str:
    """A row with the comments of the first one, which describe the keys."""
    comments = dict(re.findall(r"^    (\w+):.*?(#.*)$", first, re.M))
    lines = row.splitlines()
    return "".join(
        f"{line.partition('#')[0].rstrip():<29} {comments[key]}\n"
        if (key := line.split(":")[0].strip()) in comments
        else f"{line}\n"
        for line in lines
    )


def set_value(text: str, key: str, value: str) -> str:
    """Set a key at the top of the text of a params.yaml; its comment stays where it stood.

    >>> set_value("weights: bundled   # or imagenet", "weights", "random")
    'weights: random    # or imagenet'
    """
    found = re.search(rf"^{key}:( *)([^#\n]*?)( *)(#.*)?$", text, re.M)
    if not found:
        raise ValueError(f"{key} is not in params.yaml")
    plain = re.fullmatch(r"[A-Za-z/][\w./-]*", value) and value.lower() not in NO_TEXT
    quoted = value if plain else "'" + value.replace("'", "''") + "'"
    line = f"{key}: {quoted}"
    if found[4]:
        line = (
            line.ljust(found.start(4) - found.start())
            if len(line) < found.start(4) - found.start()
            else f"{line} "
        )
        line += found[4]
    return text[: found.start()] + line + text[found.end() :]
