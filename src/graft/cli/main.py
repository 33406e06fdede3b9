"""`graft`: everything a person does that is not a stage."""

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from graft.cli.backbones import app as backbones_app
from graft.cli.card import card
from graft.cli.curate import curate
from graft.cli.experiments import experiments
from graft.cli.explain import explain
from graft.cli.export import export
from graft.cli.features import app as features_app
from graft.cli.map import map_images
from graft.cli.monitor import monitor
from graft.cli.predict import predict
from graft.cli.project import new, upgrade
from graft.cli.report import app as report_app
from graft.cli.repository import Root, fail, opened
from graft.cli.run import PASSED_ON, repro, run
from graft.cli.search import search
from graft.cli.serve import serve
from graft.cli.share import app as share_app
from graft.cli.tune import tune

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Reproducible transfer learning, compared")
app.add_typer(features_app, name="features")
app.add_typer(backbones_app, name="backbones")
app.add_typer(report_app, name="report")
app.add_typer(share_app, name="share")
app.command()(new)
app.command()(upgrade)
app.command(context_settings=PASSED_ON)(repro)
app.command(context_settings=PASSED_ON)(run)
app.command()(experiments)
app.command()(tune)
app.command()(monitor)
app.command()(curate)
app.command()(search)
app.command()(card)
app.command()(serve)
app.command()(predict)
app.command()(explain)
app.command("map")(map_images)
app.command()(export)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graft {installed_version('graft')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before any command."""


@app.command()
def table(root: Root = Path()) -> None:
    """Print the results that are of params.yaml as it is, and compare the methods in words."""
    from graft.report.current import read_current
    from graft.report.terminal import print_table, print_tests
    from graft.utils.timing import read_timings

    try:
        current, timings = read_current(root), read_timings(root)
    except FileNotFoundError as error:
        fail(f"{error}: run `dvc repro` first, or name the repository with --root")
    except ValueError as error:
        fail(str(error))
    print_table(current, timings, Console())
    print_tests(current, Console())


@app.command()
def params(root: Root = Path()) -> None:
    """Validate params.yaml, every key and the names of layers, also those that no stage would look at now."""
    from graft.cli.params import check_params
    from graft.config.load import read_params

    try:
        check_params(read_params(root / "params.yaml"), root)
    except ValueError as error:
        fail(str(error))
    typer.echo("params.yaml is valid")


@app.command()
def status(root: Root = Path()) -> None:
    """Say whether dvc.lock is of this code and these parameters. Needs no data; fails where it is stale."""
    from graft.project.check import check_stages
    from graft.sharing.staleness import stale_stages

    try:
        check_stages(root)
    except ValueError as error:
        fail(str(error))
    with opened(root) as repo:
        stale = stale_stages(repo)
    for stage, reasons in stale.items():
        typer.echo(f"{stage}: {', '.join(reasons)}")
    if stale:
        fail("dvc.lock is stale: run `dvc repro` and commit dvc.lock and metrics/")
    typer.echo("dvc.lock is fresh")


@app.command()
def back(root: Root = Path()) -> None:
    """Return params.yaml, dvc.lock, metrics/ and the outputs to the last commit's, from DVC's cache."""
    from graft.sharing.restore import ABSENT, UNWRITTEN, restore

    with opened(root) as repo:
        done = restore(repo)
    for what, names in done.items():
        for name in names:
            typer.echo(f"{what}: {name}".encode(errors="surrogateescape"))
    if done[ABSENT]:
        fail("`graft share pull` fetches these, or `dvc repro` computes them")
    if done[UNWRITTEN]:
        raise typer.Exit(1)
    typer.echo("parameters, lock, metrics and outputs are those of HEAD")
