"""`graft card`: the cards of models and dataset that others read."""

from pathlib import Path
from typing import Annotated

import typer

from graft.cli.repository import Root, fail


def card(
    methods: Annotated[
        list[str] | None,
        typer.Argument(metavar="[METHOD...]", help="All that were trained, if none is named."),
    ] = None,
    root: Root = Path(),
    licence: Annotated[
        str, typer.Option(help="Of the models, as Hugging Face names it, such as apache-2.0.")
    ] = "unknown",
) -> None:
    """Write models/<method>/README.md, in Hugging Face's format, and data/croissant.json, of the dataset."""
    from graft.cards.croissant import write_croissant
    from graft.cards.model_card import FILE, build_card, read_results
    from graft.config.paths import CROISSANT, MODELS
    from graft.methods.registry import METHODS

    trained = [name for name in METHODS if (root / MODELS / name / "model.keras").is_file()]
    if not trained:
        fail(f"no model in {(root / MODELS).as_posix()}: run `dvc repro`, or name the repository with --root")
    if unknown := [name for name in methods or [] if name not in trained]:
        fail(f"no model of {', '.join(unknown)}: expected {', '.join(trained)}")
    try:
        for name in methods or trained:
            file = root / MODELS / name / FILE
            text = build_card(read_results(root, name), licence)
            file.write_text(text, encoding="utf-8", newline="\n")
            typer.echo(file.as_posix())
        write_croissant(root)
    except (OSError, ValueError) as error:
        fail(str(error))
    typer.echo((root / CROISSANT).as_posix())
