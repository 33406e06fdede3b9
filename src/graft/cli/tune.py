"""`graft tune`: search a method's hyper-parameters on cached features, by the validation images alone."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from graft.cli.repository import fail, opened
from graft.cli.run import require_root, run_experiment

INTERRUPTED = 130  # as the shell has it


def tune(
    method: Annotated[str, typer.Argument(help="A method that `tune` in params.yaml has a block of.")],
    trials: Annotated[int, typer.Option(min=1, help="In all: those of earlier calls count.")] = 100,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds; the best trials are compared after that.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Run the winner as an experiment.")] = False,
) -> None:
    """Search the space that params.yaml has for a method. Test images are not read.

    The same command goes on where it was interrupted; another space, other parameters, features or code
    begin a new study.
    """
    from graft.utils.errors import explain_system_error

    root = require_root()
    try:
        study = _tune(root, method, trials, timeout)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command goes on after the last trial that is over", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        fail(explain_system_error(error) if error.errno else str(error))
    except (ValueError, LookupError) as error:
        fail(f"{error.args[0] if isinstance(error, LookupError) else error}")
    _print(study)
    if apply and study["overrides"]:
        run_experiment(study["overrides"], [])


def _tune(root: Path, method: str, trials: int, timeout: float | None) -> dict[str, Any]:
    from graft.config.load import read_params
    from graft.config.paths import FEATURES, VIEWS
    from graft.methods.params import parse_params
    from graft.tuning.command import tune_method

    if not find_spec("optuna"):
        raise ValueError("graft tune needs optuna, which is not installed: pip install 'graft[tune]'")
    params = parse_params(read_params(root / "params.yaml"))
    legal = dict(params.tune)
    if method not in legal:
        raise ValueError(f"{method!r} cannot be tuned: expected one of {', '.join(legal)}")
    _check_current(
        root, [FEATURES, *([VIEWS] if method == "two_stage_views" and params.features.views else [])]
    )
    return tune_method(root, method, trials, timeout)


def _check_current(root: Path, folders: Sequence[Path]) -> None:
    """Refuse where features are missing, or not those that `dvc repro` would leave now.

    Raises:
        ValueError: naming what differs, and what to run.
    """
    from graft.features.format import shard_files
    from graft.sharing.staleness import stale_stages

    for folder in folders:
        shard_files(root / folder)
    extractions = [f"extract_{folder.name}" for folder in folders]
    with opened(root) as repo:
        stale = stale_stages(repo)
    for stage in ("download", "prepare", "split", *extractions):
        if stage in stale:
            raise ValueError(
                f"the features are not of this code and these parameters ({stage}: "
                f"{', '.join(stale[stage])}): run `dvc repro {' '.join(extractions)}`"
            )


def _print(study: Mapping[str, Any]) -> None:
    from graft.report.terminal import build_table
    from graft.report.tuning import describe_trials, tabulate_finalists

    table, console = tabulate_finalists(study), Console()
    console.print(build_table(table, [name for name, _ in table.rows]))
    for sentence in describe_trials(study):
        console.print(sentence, markup=False, highlight=False, soft_wrap=sentence.startswith("dvc"))
