"""The studies of `graft tune` -> tables and sentences."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from graft.report.provenance import show_value
from graft.report.tables import Cell, Column, Table
from graft.report.words import count, percent


def tabulate_finalists(study: Mapping[str, Any]) -> Table:
    """One row a finalist, the best first, params.yaml among them as trial 0: scores and values."""
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
    others = ", ".join(
        f"{states[state]} {state}" for state in ("pruned", "diverged", "illegal") if states[state]
    )
    trials, seeds = (count(len(study[f"{what}s"]), what) for what in ("trial", "seed"))
    lines = [
        f"{trials}{f' ({others})' * bool(others)}; the best of them, and trial 0, which is params.yaml, with "
        f"{seeds}. Test images were not read."
    ]
    winner = study["finalists"][0]
    if winner["number"] == 0:
        return [*lines, "params.yaml is as good as any trial: there is nothing to change."]
    return [
        *lines,
        f"Trial {winner['number']} has the lowest mean validation loss:",
        name_command(study["overrides"]),
    ]


def name_command(overrides: Sequence[str]) -> str:
    """Write `dvc exp run` with overrides, as one types it in a shell.

    >>> name_command(["two_stage.head.dense=[256]"])
    "dvc exp run -S 'two_stage.head.dense=[256]'"
    """
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(override)}" for override in overrides)])
