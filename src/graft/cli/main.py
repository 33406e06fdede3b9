"""`graft`: everything a person does that is not a stage."""

import json
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from graft.cli.features import app as features_app
from graft.cli.report import app as report_app
from graft.cli.repository import Root, opened
from graft.cli.share import app as share_app

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Reproducible transfer learning, compared."
)
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

    folder = root / "metrics"
    comparison = _read_json(folder / "comparison.json")
    try:
        timings = read_timings(root)
    except ValueError as error:
        _fail(str(error))
    print_comparison(comparison, timings, Console())
    for row in comparison["methods"]:
        measured = _read_json(folder / f"{row['method']}.json")
        if (
            measured["test"]["accuracy"] != row["test_accuracy"]
            or measured["n_seen"]["test"] != row["n_seen_test"]
        ):
            file = f"metrics/{row['method']}.json"
            typer.echo(f"{file} comes from a different run than this table: `dvc repro` makes both again")


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
        _fail(str(error))
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
        _fail("dvc.lock is stale: run `dvc repro` and commit dvc.lock and metrics/")
    typer.echo("dvc.lock is fresh")


@app.command()
def back(root: Root = Path()) -> None:
    """Return params.yaml, dvc.lock, metrics/ and the outputs to the last commit's, out of DVC's cache."""
    from graft.sharing.restore import restore
    from graft.utils.git import git

    with opened(root) as repo:
        changed, missing = restore(repo)
        left = git(Path(repo.root_dir), "diff", "--name-only", "--relative", "HEAD").splitlines()
    said = {
        "as committed again": changed,
        "not touched, and not as committed": left,
        "not in the cache": missing,
    }
    for what, names in said.items():
        for name in names:
            typer.echo(f"{what}: {name}")
    if missing:
        _fail("`graft share pull` fetches these, or `dvc repro` computes them")
    typer.echo("parameters, lock, metrics and outputs are those of HEAD")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        _fail(f"no {path.as_posix()}: run `dvc repro` first, or name the repository with --root")
    except ValueError as error:
        _fail(f"{path.as_posix()} is not JSON ({error}): delete it and run `dvc repro`")


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(1)
