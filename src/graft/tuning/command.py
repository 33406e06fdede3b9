"""params.yaml and the cached features of a repository -> a study, and its files."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graft.config import paths
from graft.config.load import read_params
from graft.config.tuning import read_space
from graft.data.manifest import read_manifest
from graft.methods.params import parse_params
from graft.methods.registry import METHODS
from graft.methods.run import Run
from graft.training.checkpoint import identify
from graft.tuning.results import describe_study, write_history
from graft.tuning.study import FINALISTS, Search, compare_finalists, open_journal, run_trials
from graft.tuning.trainers import load_trainer
from graft.utils.belonging import identify_output, write_values
from graft.utils.progress import Bar


def tune_method(root: Path, method: str, trials: int, timeout: float | None) -> dict[str, Any]:
    """Search the space that a repository's params.yaml has for a method, and compare the best trials.

    Args:
        root: of the repository.
        method: a block of `tune`.
        trials: in all: those that an earlier call has made count.
        timeout: seconds of the trials; None: no limit.

    Returns:
        What `graft.tuning.results.describe_study` gives, which is written to `paths.TUNING` together with the
        identity of the features; the trials also as Parquet, to `paths.STUDIES`.

    Raises:
        ValueError: if params.yaml is not valid, or another process tunes the same.
    """
    values, folder = read_params(root / "params.yaml"), root / paths.STUDIES
    outputs = [
        paths.MANIFEST,
        paths.FEATURES,
        *([paths.VIEWS] if "views" in METHODS[method].features else []),
    ]
    journal_file = folder / f"{method}-{_identify(root, method, values, outputs)}.jsonl"
    search = _prepare(root, method, values)
    with open_journal(journal_file) as journal, Bar("trials") as bar:
        bar.begin(f"tune {method}", trials)
        live = run_trials(journal, search, trials, timeout, bar)
        bar.begin("compare the best", (FINALISTS + 1) * len(search.seeds))
        study = describe_study(method, search, live, compare_finalists(journal, live, search, bar))
    write_history(study, folder / f"{method}.parquet")
    write_values(root, paths.TUNING / f"{method}.json", study, outputs)
    return study


def _prepare(root: Path, method: str, values: Mapping[str, Any]) -> Search:
    params, build = parse_params(values), METHODS[method].load_schema().model_validate
    run = Run(
        read_manifest(root / paths.MANIFEST),
        images=root / paths.IMAGES,
        features=root / paths.FEATURES,
        views=root / paths.VIEWS,
        backbone=root / paths.BACKBONE,
        temporary=root / paths.TEMPORARY / f"tune-{method}",
    )
    seeds = (0,) if method == "linear" else params.seeds
    space = read_space(values["tune"][method], values[method], build)
    return Search(values[method], space, build, load_trainer(method, run, params), seeds)


def _identify(root: Path, method: str, values: Mapping[str, Any], outputs: Sequence[Path]) -> str:
    """Digest what determines the trials besides their number."""
    searched = values[method], values["tune"][method], values["seeds"], values["features"]["views"]
    packages = version("optuna"), version("scikit-learn")
    return identify(searched, packages, [identify_output(root / output) for output in outputs])
