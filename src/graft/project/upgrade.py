"""A project brought to the graft that is installed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from graft.config.load import read_params
from graft.methods.params import parse_params
from graft.project.code import CODE, FILES, MODULES, describe_code, digest_texts, read_code, write_code
from graft.project.new import requirement
from graft.project.templates import PARAMS, bodies, kept, project_files, project_params, read_graph
from graft.utils.files import write_text

FREE = "backbones", "tune"  # blocks whose keys are a person's choice


@dataclass
class Upgrade:
    """The changes that an upgrade makes.

    Attributes:
        versions: of graft, before and after.
        described: the new content of graft.yaml.
        stale: stage -> the modules that changed.
        written: name of a file -> its new content.
        edited: of these, the files that a person edited: graft's goes beside, with ``.new`` added.
        added, removed: keys of params.yaml.
    """

    versions: tuple[str, str]
    described: dict[str, Any]
    stale: dict[str, list[str]]
    written: dict[str, str] = field(default_factory=dict)
    edited: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def describe(self) -> Iterator[str]:
        """Say all of it in lines."""
        before, after = self.versions
        yield f"graft {before} -> {after}" if before != after else f"graft {after}"
        yield from (f"{PARAMS}: added {key}" for key in self.added)
        yield from (f"{PARAMS}: removed {key}, which graft does not know any more" for key in self.removed)
        for name in self.written:
            yield (
                f"{name}: edited here, so graft's is {name}.new"
                if name in self.edited
                else f"{name}: updated"
            )
        for stage, modules in self.stale.items():
            yield f"{stage} will run again: {', '.join(modules)}"
        if not self.stale:
            yield "no stage has other code"


def plan(root: Path) -> Upgrade:
    """Find what an upgrade of a project changes, without writing.

    Raises:
        FileNotFoundError: if this is no project of `graft new`.
        ValueError: if a file is not valid, or params.yaml would not be.
    """
    graph, recorded = read_graph(), read_code(root)
    described = describe_code(graph)
    found = Upgrade(
        (recorded["version"], described["version"]), described, _stale(recorded, described, graph)
    )
    params = _migrate(root, found)
    files = project_files(params) | {"requirements.txt": requirement(params)}
    described[FILES] = digest_texts(kept(files))
    present = {name: (root / name).read_text(encoding="utf-8") for name in files if (root / name).is_file()}
    digests = digest_texts(present)
    for name, text in files.items():
        if present.get(name) == text:
            continue
        before = recorded.get(FILES, {}).get(name)
        if name not in present or name == PARAMS or digests[name] == before:
            found.written[name] = text
        elif before != described[FILES][name]:  # graft has another one than before
            found.written[name] = text
            found.edited.append(name)
    return found


def apply(upgrade: Upgrade, root: Path) -> None:
    """Write what was planned; graft.yaml last, so that an upgrade that was cut off is made again."""
    for name, text in upgrade.written.items():
        write_text(text, root / (f"{name}.new" if name in upgrade.edited else name))
    write_code(upgrade.described, root)


def _stale(
    recorded: Mapping[str, Any], described: Mapping[str, Any], graph: Mapping[str, Any]
) -> dict[str, list[str]]:
    """The stages with other code, each with the modules that changed."""
    stale, before, after = {}, recorded.get(MODULES, {}), described[MODULES]
    for name, stage in bodies(graph):
        if recorded[CODE].get(name) != described[CODE][name]:
            used = [dep for each in stage["deps"] if (dep := str(each).removeprefix("src/graft/")) in after]
            stale[name] = [module for module in used if before.get(module) != after[module]] or [
                "fewer modules"
            ]
    return stale


def _migrate(root: Path, found: Upgrade) -> str:
    """The text of params.yaml with the keys that this graft has: new ones with their default and comment."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 200, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    read_params(root / PARAMS)  # it is such that DVC and graft read the same
    text = (root / PARAMS).read_text(encoding="utf-8")
    own, default = yaml.load(text), yaml.load(project_params("photos", "mobilenet_v2", "imagenet"))
    _align(own, default, (), found)
    if found.added or found.removed:
        written = StringIO()
        yaml.dump(own, written)
        text = written.getvalue()
    parse_params(YAML(typ="safe", pure=True).load(text))
    return text


def _align(own: CommentedMap, default: CommentedMap, path: tuple[str, ...], found: Upgrade) -> None:
    """Give a block the keys of another one: those that it lacks, with their comments, and no others."""
    for key in [key for key in own if key not in default]:
        found.removed.append(".".join((*path, str(key))))
        del own[key]
    for place, (key, value) in enumerate(default.items()):
        if key not in own:
            own.insert(place, key, value)
            if key in default.ca.items:
                own.ca.items[key] = default.ca.items[key]
            found.added.append(".".join((*path, str(key))))
        elif key not in FREE and isinstance(own[key], CommentedMap) and isinstance(value, CommentedMap):
            _align(own[key], value, (*path, str(key)), found)
