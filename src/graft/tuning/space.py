"""A search space -> the values of a trial, few digits each, which one can read and type."""

from collections.abc import Mapping
from typing import Any

from graft.config.tuning import Choices, Range
from graft.report.lock import look_up
from graft.report.provenance import show_value

DIGITS = 3
Space = Mapping[str, Range | Choices]


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """Let an `optuna.Trial` suggest a value for each key of a space."""
    return {key: _suggest(trial, key, searched) for key, searched in space.items()}


def _suggest(trial: Any, key: str, searched: Range | Choices) -> Any:
    if not isinstance(searched, Range):
        choices = {show_value(choice): choice for choice in searched}  # Optuna keeps no lists
        return choices[trial.suggest_categorical(key, list(choices))]
    if isinstance(searched.low, int) and isinstance(searched.high, int):
        return trial.suggest_int(key, searched.low, searched.high, log=searched.log)
    value = trial.suggest_float(key, searched.low, searched.high, log=searched.log)
    return min(max(float(f"{value:.{DIGITS}g}"), searched.low), searched.high)


def find_present(block: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Find the values of a block that its space holds, as Optuna names them: a search begins with these."""
    found: dict[str, Any] = {}
    for key, searched in space.items():
        value = look_up(block, key)
        if not isinstance(searched, Range):
            found |= {key: show_value(value)} if value in searched else {}
        elif isinstance(value, int | float) and searched.low <= value <= searched.high:
            whole = isinstance(searched.low, int) and isinstance(searched.high, int)
            found |= {key: value} if isinstance(value, int) or not whole else {}
    return found


def describe(searched: Range | Choices) -> dict[str, Any] | list[str]:
    """Describe what is searched at a key, for JSON."""
    return searched.model_dump() if isinstance(searched, Range) else [show_value(each) for each in searched]
