"""`graft report`: look at the page."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

PAGE = "reports/index.html"

app = typer.Typer(no_args_is_help=True, help="Look at the report's page.")


@app.callback()
def main() -> None:
    """So that `open` stays a command of its own, being the only one."""


@app.command("open")
def open_page(root: Annotated[Path, typer.Option(help="The repository's root.")] = Path()) -> None:
    """Open the page that the last `dvc repro` made in a browser, and print where it is."""
    page = root / PAGE
    if not page.is_file():
        typer.echo(
            f"no {page.as_posix()}: run `dvc repro report` first, `dvc pull report` for one that a team mate "
            "pushed, or name the repository with --root",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(page.as_posix())
    if not webbrowser.open(page.resolve().as_uri()):
        typer.echo("no browser was found: open that file with one", err=True)
