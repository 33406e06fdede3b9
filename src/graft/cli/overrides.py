"""Read the values typed after `-S`, quote them for DVC, and apply them to params.yaml as DVC does."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any, NamedTuple

from graft.config.load import ParamsError, read_params
from graft.report.provenance import quote
from graft.utils.files import read_json

PATHS = ("source", "weights")  # text of any kind, so never a sweep
TYPED = re.compile(r"(?:params\.yaml:)?(?P<sign>\+\+|\+|~|)(?P<key>[^=]+?)(?:=(?P<value>.*))?", re.DOTALL)
QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
FILE = "params.yaml"


class Override(NamedTuple):
    """A change of params.yaml as DVC is told, and as it is told each value of a sweep."""

    text: str
    singles: list[str]


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
    first = [override.singles[0] for override in overrides]
    yield _apply(first, params)
    for i, override in enumerate(overrides):
        for single in override.singles[1:]:
            yield _apply([*first[:i], single, *first[i + 1 :]], params)


def _apply(singles: Sequence[str], params: Mapping[str, Any]) -> dict[str, Any]:
    """params.yaml as `dvc exp run` writes it, and as it is read then.

    Raises:
        ParamsError: if DVC does not write it, or graft would not read it.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides
    from dvc.utils.serialize import dump_yaml
    from omegaconf.errors import OmegaConfBaseException

    if not singles:
        return dict(params)
    with TemporaryDirectory() as folder:
        file, changes = Path(folder, "params.json"), Path(folder, FILE)  # JSON is read in no time
        file.write_text(json.dumps(params, default=str), encoding="utf-8")
        try:
            apply_overrides(file, [*singles])
            values = read_json(file)
            dump_yaml(changes, {key: value for key, value in values.items() if value != params.get(key)})
            return {**values, **read_params(changes)}
        except (DvcException, OmegaConfBaseException, ParamsError) as error:
            typed = shorten(" ".join(f"-S {single}" for single in singles), 300)
            why = " ".join(str(error.__cause__ or error).split())
            raise ParamsError(f"{typed}: {why}") from None


def _read(typed: str, params: Mapping[str, Any]) -> Override:
    found = TYPED.fullmatch(typed)
    if not found or (found["value"] is None and found["sign"] != "~"):
        raise ParamsError(f"-S {typed}: expected key=value, as in -S seed=1")
    sign, key, value = found["sign"], found["key"], found["value"]
    _check_key(key, params, may_be_new="+" in sign)
    if sign == "~":
        text = f"~{key}" if value is None else f"~{key}={value}"
        return Override(text, [text])
    if key in PATHS and "${" in value:
        raise ParamsError(f"-S {typed}: DVC takes ${{...}} for a reference to a parameter; rename the folder")
    if key in PATHS and not QUOTED.fullmatch(value):
        value = quote(str(Path(value).expanduser()) if value.startswith("~") else value)
    try:
        singles = _split(f"{sign}{key}={value}")
    except ValueError:
        value = quote(value)  # so that the schema says what is expected instead
        singles = _split(f"{sign}{key}={value}")
    return Override(f"{sign}{key}={value}", singles)


def _split(text: str) -> list[str]:
    """An override for each value of one that `dvc exp run` may be given: of a sweep several.

    Raises:
        ValueError: if Hydra's grammar refuses it, or DVC cannot sweep so.
    """
    # The module is not public; pyproject.toml bounds DVC's version, and tests/unit/cli names what is used.
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import get_hydra_sweeps, to_hydra_overrides
    from hydra.errors import HydraException

    try:
        if not to_hydra_overrides([text])[0].is_sweep_override():
            return [text]
        return [sweep[FILE][0] for sweep in get_hydra_sweeps({FILE: [text]})]
    except (DvcException, HydraException) as error:
        raise ValueError(str(error)) from None


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
            where, legal = here or FILE, ", ".join(map(str, block))
            raise ParamsError(f"-S {key}: {where} has no key {part!r}{guess}; legal here: {legal}")
        block = block[part]


def _guess(part: str, before: Sequence[str], block: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """A key that may be meant: one beside it that is spelt alike, else one of that name elsewhere."""
    close = [".".join([*before, name]) for name in get_close_matches(part, map(str, block), 1)]
    named = [key for key in _list_keys(params) if key.rpartition(".")[2] == part]
    near = [key for key in named if before and key.startswith(f"{before[0]}.")]
    found = [*close, *near, *named]
    return f"; did you mean {found[0]}?" if found else ""


def _list_keys(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _list_keys(value, f"{prefix}{name}.")
