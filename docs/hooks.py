"""MkDocs: pages that lie outside of docs/ and the references become pages; links to the code, its files."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from posixpath import normpath, relpath
from textwrap import shorten
from typing import Any

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from graft.cli.main import app
from graft.config.load import read_params
from graft.methods.params import Params

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "experiments/README.md": "recipes.md",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
ENTRY = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*)(?:#(?P<comment>.*))?$")
LOOSE = re.compile(r"^ *#(?!\s*---)(?P<comment>.*)$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are elsewhere or made here, and the files that any page links to."""
    texts = {target: (ROOT / source).read_text(encoding="utf-8") for source, target in PAGES.items()}
    made = {"reference/params.md": describe_params(), "reference/cli.md": describe_commands()}
    for name, text in (texts | made).items():
        files.append(File.generated(config, name, content=text))
    texts |= {each.src_uri: each.content_string for each in files.documentation_pages()}
    for target in sorted({link for name, text in texts.items() for link in _links(name, text)}):
        if target.startswith("code/"):
            files.append(
                File.generated(config, target, abs_src_path=str(ROOT / target.removeprefix("code/")))
            )
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn a link to a file of the repository into one to what it is on the site."""
    name = page.file.src_uri
    return LINK.sub(lambda found: relpath(_target(name, found[1]), str(Path(name).parent)), markdown)


def _links(name: str, text: str) -> Iterator[str]:
    return (_target(name, found[1]) for found in LINK.finditer(text))


def _target(name: str, link: str) -> str:
    """The place on the site of what a page links to."""
    origin = {target: source for source, target in PAGES.items()}.get(name, f"docs/{name}")
    path = normpath(f"{Path(origin).parent.as_posix()}/{link}")
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path) or f"code/{path}"


def describe_params() -> str:
    """A table of all keys of params.yaml: default, what is legal, and what it means."""
    values, rows = read_params(ROOT / "params.yaml"), []
    for path, comment in _comments((ROOT / "params.yaml").read_text(encoding="utf-8")):
        if path[0] != "backbones" or len(path) == 3:
            rows.append((path, _look_up(values, path), _legal(path), comment))
        if path[:1] == ("backbones",) and path[-1] == "batch_size":
            break  # the first row describes all
    blocks = {path[:-1] for path, *_ in rows}
    lines = [
        f"| `{'.'.join(path)}` | {'' if path in blocks else _code(value)} | {legal} | {_escape(comment)} |"
        for path, value, legal, comment in rows
    ]
    head = ["# params.yaml", "", "Every hyper-parameter, as the file describes it.", ""]
    return "\n".join([*head, "| key | default | legal | |", "|---|---|---|---|", *lines, ""])


def _escape(text: str) -> str:
    return text.replace("|", r"\|")


def _comments(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each key of a params.yaml with the comment beside it, or above it, and what goes on below."""
    path, above, found = [], [], None
    for line in text.splitlines():
        loose, entry = LOOSE.match(line), ENTRY.match(line)
        if loose and found and len(line) - len(line.lstrip()) > 20:
            found[1] += f" {loose['comment'].strip()}"
        elif loose:
            above.append(loose["comment"].strip())
        elif entry:
            if found:
                yield tuple(found[0]), found[1]
            path = [*path[: len(entry["indent"]) // 2], entry["key"]]
            found = [path, (entry["comment"] or (" ".join(above))).strip()]
            above = []
        elif not line.strip():
            above = []
    if found:
        yield tuple(found[0]), found[1]


def _look_up(values: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        values = values[part]
    return values


def _code(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{shorten(text, 60, placeholder=' ...')}`"


def _legal(path: tuple[str, ...]) -> str:
    """The type, choices and bounds of a key, in words."""
    schema = Params.model_json_schema()
    node: Any = schema
    for part in path:
        node = _resolve(node, schema)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties")
        if not isinstance(node, Mapping):
            return ""
    return _in_words(_resolve(node, schema), schema)


def _resolve(node: Any, schema: Any) -> Any:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _in_words(node: Any, schema: Any) -> str:
    node = _resolve(node, schema)
    if "anyOf" in node:
        return " or ".join(filter(None, (_in_words(each, schema) for each in node["anyOf"])))
    if "enum" in node or "const" in node:
        return ", ".join(f"`{each}`" for each in node.get("enum", [node.get("const")]))
    if "properties" in node:
        return ""
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {node[name]:,}" for name, sign in bounds.items() if name in node]
    return " ".join(
        [{"array": "list", "object": "block"}.get(node.get("type", ""), node.get("type", "")), *limits]
    )


def describe_commands() -> str:
    """All commands of `graft` with their arguments and options."""
    lines = ["# graft", "", "`graft --help` says the same."]
    command = typer.main.get_command(app)
    for name, each in sorted(_commands(command, "graft")):
        lines += ["", f"## {name}", "", (each.help or "").strip(), "", "| | |", "|---|---|"]
        lines += [f"| `{_signature(p)}` | {_escape(getattr(p, 'help', '') or '')} |" for p in each.params]
    return "\n".join(lines) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, click.Command]]:
    for part, each in getattr(command, "commands", {}).items():
        if getattr(each, "commands", None):
            yield from _commands(each, f"{name} {part}")
        else:
            yield f"{name} {part}", each


def _signature(param: click.Parameter) -> str:
    if param.param_type_name == "argument":
        return (param.name or "").upper()
    return ", ".join([*param.opts, *param.secondary_opts])
