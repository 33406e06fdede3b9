"""`graft`: everything a person does that is not a stage."""

from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from graft.cli.features import app as features_app
from graft.cli.report import app as report_app
from graft.cli.repository import Root, fail, opened
from graft.cli.share import app as share_app
from graft.config.paths import METRICS
from graft.utils.files import read_json

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Reproducible transfer learning, compared")
app.add_typer(features_app, name="features")
app.add_typer(report_app, name="report")
app.add_typer(share_app, name="share")


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
    """Print the comparison of the methods that the last `dvc repro` made, or that came with the checkout."""
    from graft.report.terminal import print_comparison
    from graft.utils.timing import read_timings

    folder = root / METRICS
    comparison = _read_json(folder / "comparison.json")
    try:
        timings = read_timings(root)
    except ValueError as error:
        fail(str(error))
    print_comparison(comparison, timings, Console())
    for row in comparison["methods"]:
        measured = _read_json(folder / f"{row['method']}.json")
        compared = row["test_accuracy"], row["n_seen_test"]
        if (measured["test"]["accuracy"], measured["n_seen"]["test"]) != compared:
            said = "comes from a different run than this table: `dvc repro` makes both again"
            typer.echo(f"metrics/{row['method']}.json {said}")


@app.command()
def params(root: Root = Path()) -> None:
    """Validate params.yaml, every key and the names of layers, also those that no stage would look at now."""
    from graft.config.load import read_params
    from graft.methods.params import parse_params
    from graft.methods.scratch import check_network
    from graft.models.freezing import check_backbone

    try:
        blocks = parse_params(read_params(root / "params.yaml"))
        fine_tune = blocks.inline.fine_tune
        check_backbone(blocks.backbones[blocks.backbone], fine_tune.blocks, fine_tune.layers)
        check_network(blocks.scratch)
    except (ValueError, FileNotFoundError) as error:
        fail(str(error))
    typer.echo("params.yaml is valid")


@app.command()
def status(root: Root = Path()) -> None:
    """Say whether dvc.lock is of this code and these parameters. Needs no data; fails where it is stale."""
    from graft.sharing.staleness import stale_stages

    with opened(root) as repo:
        stale = stale_stages(repo)
    for stage, reasons in stale.items():
        typer.echo(f"{stage}: {', '.join(reasons)}")
    if stale:
        fail("dvc.lock is stale: run `dvc repro` and commit dvc.lock and metrics/")
    typer.echo("dvc.lock is fresh")


@app.command()
def back(root: Root = Path()) -> None:
    """Return params.yaml, dvc.lock, metrics/ and the outputs to the last commit's, out of DVC's cache."""
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


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except FileNotFoundError:
        fail(f"no {path.as_posix()}: run `dvc repro` first, or name the repository with --root")
    except ValueError as error:
        fail(f"{path.as_posix()} is not JSON ({error}): delete it and run `dvc repro`")
