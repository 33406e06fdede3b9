"""What people type after `-S`: checked against the schema of params.yaml, and as Hydra's grammar reads it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from graft.config.load import ParamsError
from graft.report.provenance import quote

PATHS = ("source", "weights")  # text of any kind, so never a sweep
TYPED = re.compile(r"(?:params\.yaml:)?(?P<sign>\+\+|\+|~|)(?P<key>[^=]+?)(?:=(?P<value>.*))?", re.DOTALL)
QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
FILE = "params.yaml"


class Override(NamedTuple):
    """A change of params.yaml: as DVC is told, its dotted key, and its values; a sweep has several."""

    text: str
    key: str
    values: list[Any]
    removes: bool = False


def read_overrides(typed: Sequence[str], params: Mapping[str, Any]) -> list[Override]:
    """Read what was typed after each `-S`: quotes are added and `~` is expanded where that is needed.

    Args:
        typed: such as ``two_stage.head.dropout=0.3``, with Hydra's ``+``, ``++`` or ``~`` before the key.
        params: the content of params.yaml.

    Raises:
        ParamsError: if a key is not in params.yaml; it names those that are.
    """
    return [_read(text, params) for text in typed]


def apply(overrides: Sequence[Override], params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield params.yaml as the overrides make it: first with the first value of each sweep, then with others.

    Of several sweeps not each combination is made, but each value occurs.
    """
    first = deepcopy(dict(params))
    for override in overrides:
        _set(first, override, override.values[0])
    yield first
    for override in overrides:
        for value in override.values[1:]:
            other = deepcopy(first)
            _set(other, override, value)
            yield other


def _read(typed: str, params: Mapping[str, Any]) -> Override:
    found = TYPED.fullmatch(typed)
    if not found or (found["value"] is None and found["sign"] != "~"):
        raise ParamsError(f"-S {typed}: expected key=value, as in -S seed=1")
    sign, key, value = found["sign"], found["key"], found["value"]
    _check_key(key, params, may_be_new="+" in sign)
    if sign == "~":
        return Override(typed, key, [None], removes=True)
    if key in PATHS and "${" in value:
        raise ParamsError(f"-S {typed}: DVC takes ${{...}} for a reference to a parameter; rename the folder")
    if key in PATHS and not QUOTED.fullmatch(value):
        value = quote(str(Path(value).expanduser()) if value.startswith("~") else value)
    try:
        values = _parse(f"{key}={value}")
    except ValueError:
        value = quote(value)  # so that the schema says what is expected instead
        values = _parse(f"{key}={value}")
    return Override(f"{sign}{key}={value}", key, values)


def _parse(text: str) -> list[Any]:
    """The values of `key=value` as `dvc exp run` reads it.

    Raises:
        ValueError: if Hydra's grammar refuses it.
    """
    # Neither module is public; pyproject.toml bounds DVC's version, and tests/unit/cli names what is used.
    from dvc.utils.hydra import get_hydra_sweeps, to_hydra_overrides
    from hydra.errors import OverrideParseException

    try:
        texts = [sweep[FILE] for sweep in get_hydra_sweeps({FILE: [text]})]
    except OverrideParseException as error:
        raise ValueError(str(error)) from None
    return [to_hydra_overrides(each)[0].value() for each in texts]


def _check_key(key: str, params: Mapping[str, Any], may_be_new: bool) -> None:
    parts, block = key.split("."), params
    for i, part in enumerate(parts):
        here = ".".join(parts[:i])
        if not isinstance(block, Mapping):
            raise ParamsError(f"-S {key}: {here}={block!r} is no block of keys; set it whole: -S {here}=...")
        if part not in block:
            if may_be_new and i == len(parts) - 1:
                return
            guess = _guess(part, parts[:i], block, params)
            where, legal = here or FILE, ", ".join(block)
            raise ParamsError(f"-S {key}: {where} has no key {part!r}{guess}; legal here: {legal}")
        block = block[part]


def _guess(part: str, before: Sequence[str], block: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """A key that may be meant: one beside it that is spelt alike, else one of that name elsewhere."""
    close = [".".join([*before, name]) for name in get_close_matches(part, block, 1)]
    named = [key for key in _list_keys(params) if key.rpartition(".")[2] == part]
    near = [key for key in named if before and key.startswith(f"{before[0]}.")]
    found = [*close, *near, *named]
    return f"; did you mean {found[0]}?" if found else ""


def _list_keys(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _list_keys(value, f"{prefix}{name}.")


def _set(params: dict[str, Any], override: Override, value: Any) -> None:
    *blocks, last = override.key.split(".")
    block = params
    for name in blocks:
        block = block[name]
    if override.removes:
        del block[last]
    else:
        block[last] = value
