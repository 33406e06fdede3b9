"""`graft report`: look at the page."""

import webbrowser
from pathlib import Path

import typer

from graft.cli.repository import Root, fail
from graft.config.paths import PAGE

app = typer.Typer(no_args_is_help=True, help="Look at the report's page.")


@app.callback()
def main() -> None:
    """Keep `open` a command of its own, though it is the only one."""


@app.command("open")
def open_page(root: Root = Path()) -> None:
    """Open the page in a browser and print where it is; where it is missing or outdated, draw it first."""
    from graft.config.load import load_params
    from graft.report.outdated import is_outdated
    from graft.report.page import PARAMS, write_page

    page = root / PAGE
    if is_outdated(page, root):
        try:
            write_page(root, load_params(PARAMS, root / "params.yaml"))
        except (OSError, ValueError) as error:
            said = f"the page cannot be drawn: {error}; run `dvc repro`, or `dvc pull` what a teammate has"
            if not page.is_file():
                fail(said)
            typer.echo(f"{said}. This one was drawn before", err=True)
    typer.echo(page.as_posix())
    if not webbrowser.open(page.resolve().as_uri()):
        typer.echo("no browser was found: open that file with one", err=True)
