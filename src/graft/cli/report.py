"""`graft report`: look at the page."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Look at the report's page.")


@app.callback()
def main() -> None:
    """So that `open` stays a command of its own, being the only one."""


@app.command("open")
def open_page(root: Annotated[Path, typer.Option(help="The repository's root.")] = Path()) -> None:
    """Open the page in a browser and print where it is; where it is missing or outdated, draw it first."""
    from graft.config.load import load_params
    from graft.report.inputs import is_outdated
    from graft.report.page import PAGE, PARAMS, write_page

    page = root / PAGE
    if is_outdated(page, root):
        try:
            write_page(root, load_params(PARAMS, root / "params.yaml"))
        except (ValueError, FileNotFoundError) as error:
            missing = isinstance(error, FileNotFoundError)
            todo = ": run `dvc repro`, or `dvc pull` for the results of a teammate" if missing else ""
            typer.echo(f"{error}{todo}", err=True)
            raise typer.Exit(1) from None
    typer.echo(page.as_posix())
    if not webbrowser.open(page.resolve().as_uri()):
        typer.echo("no browser was found: open that file with one", err=True)
