"""`graft repro` and `graft run`: DVC's commands, with the parameters checked first and less to read."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from graft.cli.preloading import preloading
from graft.cli.repository import fail
from graft.config.paths import PAGE

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
Overrides = Annotated[
    list[str] | None,
    typer.Option("-S", "--set-param", metavar="KEY=VALUE", help="A value of params.yaml, for this run."),
]


def repro(context: typer.Context) -> None:
    """Check params.yaml, run what is not up to date, and print the table. Other options are `dvc repro`'s."""
    from graft.cli.params import check_params
    from graft.config.load import read_params
    from graft.report.outdated import is_outdated

    root, before = require_root(), _drawn()
    with preloading(root):
        try:
            check_params(read_params(root / "params.yaml"), root)
        except ValueError as error:
            fail(str(error))
        _run_dvc(["repro", *context.args])
        # DVC draws the page when something that it shows has another hash: not in a fresh clone.
        if not context.args and is_outdated(PAGE, root):
            raise typer.Exit(subprocess.call([sys.executable, "stages/report.py"]))
    if _drawn() == before:
        print_results(root)


def run(context: typer.Context, overrides: Overrides = None) -> None:
    """Check the values, then run an experiment. Other options and targets are those of `dvc exp run`."""
    require_root()
    run_experiment(overrides or [], context.args)


def run_experiment(overrides: Sequence[str], arguments: Sequence[str]) -> None:
    """Check the values of `-S`, then run `dvc exp run` with them and its own arguments."""
    from graft.cli.overrides import apply, read_overrides
    from graft.cli.params import check_params
    from graft.config.load import read_params
    from graft.methods.params import parse_params

    with preloading(Path()):
        try:
            params = read_params("params.yaml")
            read = read_overrides(overrides, params)
            first, *others = apply(read, params)
            for values in others:
                parse_params(values)
            check_params(first, Path())
        except ValueError as error:
            fail(str(error).replace("params.yaml is not valid", "params.yaml would not be valid"))
        _run_dvc(["exp", "run", *arguments, *(part for each in read for part in ("-S", each.text))])


def print_results(root: Path) -> None:
    """Print the results of a repository that are of its params.yaml, and where the page is."""
    from graft.report.current import read_current
    from graft.report.terminal import print_table
    from graft.utils.timing import read_timings

    try:
        print_table(read_current(root), read_timings(root), Console())
    except (FileNotFoundError, ValueError) as error:
        fail(str(error))
    if (root / PAGE).is_file():
        typer.echo(PAGE.as_posix())


def require_root() -> Path:
    if not Path("params.yaml").exists():
        fail("params.yaml is not in this folder: run this in the root of the repository")
    return Path()


def _drawn() -> int | None:
    return PAGE.stat().st_mtime_ns if PAGE.is_file() else None


def _run_dvc(arguments: Sequence[str]) -> None:
    """Run a command of DVC without the lines that it prints for each stage: the stages print their own."""
    import logging

    from dvc.cli import main
    from dvc.repo import Repo

    from graft.sharing.links import choose_links
    from graft.utils.quick_dvc import quicken_dvc

    with suppress(Exception), Repo() as repo:  # DVC says itself what is wrong
        choose_links(repo)
    quicken_dvc()
    logging.getLogger("dvc").setLevel(logging.WARNING)
    logging.getLogger("dvc.stage.cache").setLevel(logging.INFO)  # what is restored instead of run
    if code := main([*arguments]):
        raise typer.Exit(code)
