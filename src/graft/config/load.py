"""params.yaml -> frozen, validated values: those that a stage asks for, and no others."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from types import SimpleNamespace
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import ScalarEvent

CHOSEN_ROW = "backbones.${backbone}"  # as dvc.yaml names it, too
ODD = r"^\ufeff?%|[\x85\u2028\u2029]|(?<=[\s\S])\ufeff"  # what two parsers of YAML take differently
MAX_BYTES = 1_000_000  # of the file: what YAML takes some 15 s to read
MAX_CHARACTERS = 3500  # of one value: in hexadecimal as well, Python prints no number of more


class ParamsError(ValueError):
    """params.yaml is not valid; the text names each key, what was expected and what was received."""


def load_params(schemas: Mapping[str, Any], path: str | Path = "params.yaml") -> SimpleNamespace:
    """Read some values of params.yaml and validate them.

    A stage names what it uses, so it cannot use a parameter that its DVC stage does not declare, and
    depends on the schemas of these alone.

    Args:
        schemas: key of params.yaml, dotted for a value in a block, -> the type to validate it as.
            ``backbones.${backbone}`` is the row of `backbones` that `backbone` selects.

    Returns the values, named by the last part of their keys; the row of the backbone is ``row``. Raises a
    ParamsError if the file cannot be read, or lacks one of these keys, or has an invalid value there.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "params.yaml").write_text("seed: 7\\nsplit: {validation: 0.1}")
    ...     load_params({"split.validation": float}, Path(folder, "params.yaml"))
    namespace(validation=0.1)
    """
    values = read_params(path)
    chosen: dict[str, Any] = {}
    problems: list[str] = []
    for key, schema in schemas.items():
        name = "row" if key == CHOSEN_ROW else key.rpartition(".")[2]
        try:
            parts = _parts(key, values)
            chosen[name] = TypeAdapter(schema).validate_python(_look_up(values, parts))
        except ValidationError as error:
            problems += explain_errors(error, schema, parts)
        except ParamsError as error:
            problems.append(f"  {error}")
    if problems:
        raise ParamsError("\n".join([f"{Path(path).name} is not valid:", *problems]))
    return SimpleNamespace(**chosen)


def read_params(path: str | Path) -> dict[str, Any]:
    """Read params.yaml as it stands; raises a ParamsError if it cannot be read or `parse_yaml` refuses it."""
    try:
        if Path(path).stat().st_size > MAX_BYTES or not Path(path).is_file():
            raise OSError(0, f"no file of at most {MAX_BYTES} bytes")
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ParamsError(f"cannot read {path} ({error.strerror}); restore it from Git") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{Path(path).name} is not UTF-8 ({error}); save it as UTF-8") from None
    return parse_yaml(text, Path(path).name)


def parse_yaml(text: str, name: str = "params.yaml") -> dict[str, Any]:
    """Parse the text of a params.yaml, called `name` in errors, as YAML 1.2, as DVC does.

    Raises a ParamsError if it is no mapping, or has anchors or aliases, whose places `dvc exp run -S` cannot
    change one by one, tags, duplicate keys, values longer than ``MAX_CHARACTERS``, or what is ``ODD``.

    >>> parse_yaml("{learning_rate: 1e-05, classes: [yes, no], first: 010}")
    {'learning_rate': 1e-05, 'classes': ['yes', 'no'], 'first': 10}
    """
    if odd := re.search(ODD, text, re.MULTILINE):
        at = text[: odd.start()].count("\n") + 1
        raise ParamsError(f"{name}, line {at}: found {odd[0]!a}, which DVC may take otherwise; remove it")
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        values = yaml.load(text)
    except RecursionError:
        raise ParamsError(f"{name} is nested too deeply; expected a few levels of blocks") from None
    except (YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = shorten(getattr(error, "problem", None) or str(error).partition("\n")[0], 300)
        raise ParamsError(f"{name} cannot be read as YAML 1.2{line}: {problem}; correct it there") from None
    if not isinstance(values, dict):
        received = "nothing" if values is None else f"a {type(values).__name__}"
        raise ParamsError(f"{name}: expected `key: value` lines, received {received}; restore it from Git")
    return values


class _Composer(Composer):
    """Composes plain values only."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        fault = None
        if event.anchor is not None:
            fault = f"the anchor or alias {event.anchor!r}, which makes DVC lose a -S: write its value out"
        elif getattr(event, "tag", None) is not None:
            fault = f"the tag {event.tag}: remove it"
        elif parent is not None and index is None and not isinstance(event, ScalarEvent):
            fault = "a key that is a list or a block: expected text"
        elif len(getattr(event, "value", "")) > MAX_CHARACTERS:
            fault = f"a value of {len(event.value)} characters, expected at most {MAX_CHARACTERS}"
        elif re.search(r"[\0\ud800-\udfff]", getattr(event, "value", "")):
            fault = "a character that is in no text or path: remove it"
        if fault:
            raise ComposerError(None, None, f"found {fault}", event.start_mark)
        return super().compose_node(parent, index)


def explain_errors(error: ValidationError, schema: Any, prefix: Sequence[str] = ()) -> list[str]:
    """Explain what pydantic found wrong, a line for each key; `prefix`: parts of the key validated."""
    errors = error.errors()
    return [_explain(each, schema, prefix) for each in errors if not _follows_from_another(each, errors)]


def _parts(key: str, values: Mapping[str, Any]) -> list[str]:
    if key != CHOSEN_ROW:
        return key.split(".")
    backbone, rows = _look_up(values, ["backbone"]), _look_up(values, ["backbones"])
    if not isinstance(rows, Mapping) or str(backbone) not in rows:
        raise ParamsError(f"backbone must be one of {', '.join(sorted(map(str, rows)))}, not {backbone!r}")
    return ["backbones", str(backbone)]


def _look_up(values: Any, parts: Sequence[str]) -> Any:
    for i, part in enumerate(parts):
        if not isinstance(values, Mapping) or part not in values:
            raise ParamsError(_missing(".".join(parts[: i + 1])))
        values = values[part]
    return values


def _missing(key: str) -> str:
    return f"{key}: missing; add it (the commented default is in the repository's params.yaml)"


def _follows_from_another(error: Any, errors: Sequence[Any]) -> bool:
    """Tell that a list is too short only because of an item that is reported itself."""
    inside = [each for each in errors if each["loc"][: len(error["loc"])] == error["loc"]]
    return error["type"] == "too_short" and len(inside) > 1


def _explain(error: Any, schema: Any, prefix: Sequence[str]) -> str:
    # Without the names of pydantic's own types, which stand among the keys of a union.
    location = [*prefix, *error["loc"]]
    parts = [str(part) for part in location if not str(part).startswith(("constrained-", "dict["))]
    key = ".".join(part if part.isprintable() else ascii(part) for part in parts)
    if error["type"] == "extra_forbidden":
        legal = ", ".join(_legal_keys(schema, error["loc"][:-1]))
        received = f"received {error['input']!r:.300}; legal here: {legal}"
        return f"  {key}: unknown key; remove it or correct its name ({received})"
    if error["type"] == "missing":
        return f"  {_missing(key)}"
    message = error["msg"].removeprefix("Value error, ").replace("Tuple", "List")
    received = "" if error["type"] == "value_error" else f", received {error['input']!r:.300}"
    return f"  {f'{key}: ' if key else ''}{message[0].lower()}{message[1:]}{received}"


def _legal_keys(schema: Any, location: tuple[int | str, ...]) -> Iterator[str]:
    """List the keys of the block at a place in what a schema describes."""
    for part in location:
        annotation = schema.model_fields[part].annotation if part in schema.model_fields else schema
        schema = get_args(annotation)[-1] if get_args(annotation) else annotation  # dict[str, BackboneRow]
    yield from schema.model_fields
