"""The studies of `graft tune` -> tables and sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from graft.report.provenance import show_value
from graft.report.tables import Cell, Column, Table
from graft.report.words import percent


def tabulate_finalists(study: Mapping[str, Any]) -> Table:
    """One row a finalist, the best first, and params.yaml as trial 0: scores over the seeds, and the values."""
    finalists = study["finalists"]
    losses = [_spread(each["losses"], "{:.4f}".format) for each in finalists]
    accuracies = [_spread(each["accuracies"], percent) for each in finalists]
    columns = [
        Column("validation loss", list(map(Cell, losses)), "valid.\nloss"),
        Column("validation accuracy, %", list(map(Cell, accuracies)), "valid.\n%"),
    ]
    for key in study["space"]:
        cells = [Cell(show_value(each["values"][key])) for each in finalists]
        columns.append(Column(key, cells, key.replace(".", ".\n").replace("_", "_\n")))
    return Table("trial", [f"{each['number']}" for each in finalists], columns)


def _spread(values: Sequence[float], show: Any) -> str:
    return f"{show(mean(values))} ± {show(stdev(values))}" if len(values) > 1 else str(show(values[0]))


def describe_trials(study: Mapping[str, Any]) -> list[str]:
    """Sentences on how many trials there were, and on the winner."""
    states = Counter(trial["state"] for trial in study["trials"])
    others = ", ".join(f"{states[state]} {state}" for state in ("pruned", "diverged") if states[state])
    lines = [
        f"{_count(len(study['trials']), 'trial')}{f' ({others})' * bool(others)}; the best of them, and trial 0, "
        f"which is params.yaml, with {_count(len(study['seeds']), 'seed')}. Test images were not read."
    ]
    winner = study["finalists"][0]
    if winner["number"] == 0:
        return [*lines, "params.yaml is as good as any trial: there is nothing to change."]
    return [*lines, f"The lowest mean validation loss has trial {winner['number']}:"]


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
