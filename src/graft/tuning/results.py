"""A study -> what is kept of it: values for JSON, a table of all trials, and the command of the winner."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from graft.report.provenance import show_value
from graft.tuning.space import describe
from graft.tuning.study import Candidate, Search, list_complete, list_trials
from graft.utils.files import whole

ENOUGH = 10  # complete trials, before the importance of a key is estimated


def describe_study(method: str, search: Search, live: Any, finalists: Sequence[Candidate]) -> dict[str, Any]:
    """Describe a study for JSON.

    Returns:
        ``method``; ``space``, as params.yaml has it; ``seeds`` of the finalists; ``trials``, each with its
        ``number`` (from 1), ``state`` (complete, pruned, diverged, or illegal: two values exclude each
        other), ``loss``, ``accuracy`` and ``epochs`` (of one that is not complete, the last ``loss`` and the
        epochs until then) and ``values``; ``finalists``, the best first, each with ``number`` (0:
        params.yaml), ``values``, ``losses`` and ``accuracies`` of the seeds; ``importance`` of each key, in
        [0, 1]; and ``overrides``, for `dvc exp run -S`, which is empty where params.yaml is best.
    """
    return {
        "method": method,
        "space": {key: describe(searched) for key, searched in search.space.items()},
        "seeds": list(search.seeds),
        "trials": [_describe_trial(trial) for trial in list_trials(live)],
        "finalists": [
            {
                "number": each.number,
                "values": dict(each.settings),
                "losses": [score.loss for score in each.scores],
                "accuracies": [score.accuracy for score in each.scores],
            }
            for each in finalists
        ],
        "importance": _measure_importance(live),
        "overrides": _list_overrides(method, finalists),
    }


def _describe_trial(trial: Any) -> dict[str, Any]:
    loss, accuracy, epochs = trial.user_attrs.get("score", (None, None, len(trial.intermediate_values)))
    if loss is None and trial.intermediate_values:
        loss = trial.intermediate_values[max(trial.intermediate_values)]
    return {
        "number": trial.number + 1,
        "state": trial.user_attrs.get("fault", trial.state.name.lower()),
        "loss": loss if loss is not None and loss == loss else None,  # NaN is not of JSON
        "accuracy": accuracy,
        "epochs": epochs,
        "values": trial.user_attrs["values"],
    }


def _measure_importance(live: Any) -> dict[str, float]:
    """Estimate each key's share of what separates good trials from others (PED-ANOVA, arXiv:2304.10255)."""
    import optuna

    if len(list_complete(live)) < ENOUGH:
        return {}
    found: dict[str, float] = optuna.importance.get_param_importances(live)
    return found


def _list_overrides(method: str, finalists: Sequence[Candidate]) -> list[str]:
    present = next(each.settings for each in finalists if each.number == 0)
    best = finalists[0].settings
    return [f"{method}.{key}={show_value(best[key])}" for key in best if best[key] != present[key]]


def write_history(study: Mapping[str, Any], file: Path) -> None:
    """Write the trials of what `describe_study` gave as Parquet: a column for each key of the space.

    Numbers of a range are numbers, choices are text.
    """
    rows = []
    for trial in study["trials"]:
        facts = {name: value for name, value in trial.items() if name != "values"}
        values = {
            key: show_value(value) if isinstance(study["space"][key], list) else value
            for key, value in trial["values"].items()
        }
        rows.append(facts | values)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as partial:
        pd.DataFrame(rows).to_parquet(partial, index=False)
