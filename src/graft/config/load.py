"""params.yaml -> frozen, validated values: those that a stage asks for, and no others."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

CHOSEN_ROW = "backbones.${backbone}"  # as dvc.yaml names it, too


class ParamsError(ValueError):
    """params.yaml is not valid; the text names each key, what was expected and what was received."""


def load_params(schemas: Mapping[str, Any], path: str | Path = "params.yaml") -> SimpleNamespace:
    """Read some values of params.yaml and validate them.

    A stage names what it uses, so it cannot use a parameter that its DVC stage does not declare, and
    depends on the schemas of these alone.

    Args:
        schemas: key of params.yaml, dotted for a value in a block, -> the type to validate it as.
            ``backbones.${backbone}`` is the row of `backbones` that `backbone` selects.
        path: the file.

    Returns:
        The values, named by the last part of their keys; the row of the backbone is ``row``.

    Raises:
        ParamsError: if the file is not YAML, or lacks one of these keys, or has an invalid value there.
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
        except KeyError as error:
            problems.append(_missing(error.args[0]))
        except ParamsError as error:
            problems.append(f"  {error}")
    if problems:
        raise ParamsError("\n".join([f"{Path(path).name} is not valid:", *problems]))
    return SimpleNamespace(**chosen)


def read_params(path: str | Path) -> dict[str, Any]:
    """Read params.yaml as it stands, without validation.

    Raises:
        ParamsError: if it is not YAML, or not a mapping.
    """
    try:
        return parse_yaml(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ParamsError(f"params.yaml is not YAML: {error}") from None


def parse_yaml(text: str) -> dict[str, Any]:
    """Parse the text of a params.yaml; as `read_params`."""
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ParamsError(f"params.yaml is not YAML: {error}") from None


def explain_errors(error: ValidationError, schema: Any, prefix: Sequence[str] = ()) -> list[str]:
    """Explain what pydantic found, a line for each key.

    Args:
        error: of the validation.
        schema: what was validated.
        prefix: parts of the key of what was validated.
    """
    errors = error.errors()
    return [_explain(each, schema, prefix) for each in errors if not _follows_from_another(each, errors)]


def _parts(key: str, values: Mapping[str, Any]) -> list[str]:
    if key != CHOSEN_ROW:
        return key.split(".")
    backbone, rows = values.get("backbone"), values.get("backbones") or {}
    if backbone not in rows:
        raise ParamsError(f"backbone must be one of {', '.join(sorted(rows))}, not {backbone!r}")
    return ["backbones", str(backbone)]


def _look_up(values: Any, parts: Sequence[str]) -> Any:
    for i, part in enumerate(parts):
        if not isinstance(values, Mapping) or part not in values:
            raise KeyError(".".join(parts[: i + 1]))
        values = values[part]
    return values


def _missing(key: str) -> str:
    return f"  {key}: missing; add it (the commented default is in the repository's params.yaml)"


def _follows_from_another(error: Any, errors: Sequence[Any]) -> bool:
    """Whether a list is too short only because of an item that is reported itself."""
    inside = [each for each in errors if each["loc"][: len(error["loc"])] == error["loc"]]
    return error["type"] == "too_short" and len(inside) > 1


def _explain(error: Any, schema: Any, prefix: Sequence[str]) -> str:
    # Without the names of pydantic's own types, which stand among the keys of a union.
    location = [*prefix, *error["loc"]]
    parts = [str(part) for part in location if not str(part).startswith(("constrained-", "dict["))]
    key = ".".join(parts)
    if error["type"] == "extra_forbidden":
        legal = ", ".join(_legal_keys(schema, error["loc"][:-1]))
        received = f"received {error['input']!r}; legal here: {legal}"
        return f"  {key}: unknown key; remove it or correct its name ({received})"
    if error["type"] == "missing":
        return _missing(key)
    message = error["msg"].removeprefix("Value error, ").replace("Tuple", "List")
    received = "" if error["type"] == "value_error" else f", received {error['input']!r}"
    return f"  {f'{key}: ' if key else ''}{message[0].lower()}{message[1:]}{received}"


def _legal_keys(schema: Any, location: tuple[int | str, ...]) -> Iterator[str]:
    """The keys of the block at a place in what a schema describes."""
    for part in location:
        annotation = schema.model_fields[part].annotation if part in schema.model_fields else schema
        schema = get_args(annotation)[-1] if get_args(annotation) else annotation  # dict[str, BackboneRow]
    yield from schema.model_fields
