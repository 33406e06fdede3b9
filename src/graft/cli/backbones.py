"""`graft backbones compare`: which backbone for the images at hand?"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from graft.cli.extract import find_repo, read_prepared
from graft.cli.repository import Root, fail
from graft.config.paths import BACKBONES, IMAGES, MANIFEST

if TYPE_CHECKING:
    from graft.tuning.backbones import Task
    from graft.utils.progress import Bar

AGAIN = "interrupted: what is embedded and measured is kept, and the same command goes on from there"
app = typer.Typer(no_args_is_help=True, help="Choose a backbone for one's images.")


@app.callback()
def main() -> None:
    """Keep `compare` a command of its own, though it is the only one."""


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="Rows of `backbones` in params.yaml.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WEIGHTS",
            help="Of one of them: imagenet, bundled, random or a path. Without: those of params.yaml for its "
            "own backbone, imagenet for another.",
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers to this file.")] = None,
    root: Root = Path(),
) -> None:
    """Compare backbones by what `linear` makes of their features, on train and validation images alone.

    Exits with 1 if one of them could not be had; the others are compared all the same.
    """
    from graft.utils.errors import explain_system_error
    from graft.utils.files import write_json

    try:
        rows, failed = _compare([*dict.fromkeys(names)], weights or [], root)
        if json:
            write_json({"backbones": rows}, json)
    except KeyboardInterrupt:
        fail(AGAIN)
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(explain_system_error(error) if error.filename else error.strerror or str(error))
    if failed:
        fail(f"not compared: {', '.join(failed)}")


def _compare(
    names: Sequence[str], weights: Sequence[str], root: Path
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Measure what is not measured yet, and print what is known; returns it, and the names that failed."""
    from graft.config.evaluation import Metrics
    from graft.config.load import load_params
    from graft.report.backbones import compare_backbones
    from graft.tuning.backbones import PARAMS
    from graft.utils.belonging import read_values
    from graft.utils.progress import Bar

    manifest = read_prepared(root)
    params = load_params({**PARAMS, "metrics": Metrics}, root / "params.yaml")
    chosen, failed = _choose_weights(weights, names, params, root), []
    task = _make_task(root, manifest, params)
    with Bar("images") as bar:
        bar.begin("compare", len(names) * len(task.rows))
        for number, name in enumerate(names, 1):
            bar.describe(f"{name} ({number}/{len(names)})")
            try:
                _measure(name, chosen[name], task, bar)
            except ValueError as error:
                failed.append(name)
                said = str(error).replace("-S weights=", f"--weights {name}=")
                typer.echo(f"{name}: {said}", err=True)
    rows = compare_backbones(
        read_values(root, BACKBONES), params.linear.model_dump(mode="json"), params.metrics.confidence
    )
    if rows:
        _print(rows, len(task.rows), params.metrics.confidence)
    return rows, failed


def _choose_weights(typed: Sequence[str], names: Sequence[str], params: Any, root: Path) -> dict[str, str]:
    """The weights of each backbone: those typed after `--weights`, else the defaults."""
    from graft.config.features import FILE, IMAGENET

    rows = params.backbones
    own = {name: FILE for name in names if name in rows and rows[name].library == "file"}
    chosen = dict.fromkeys(names, IMAGENET) | own | {params.backbone: _locate(root, params.weights)}
    for text in typed:
        name, _, value = text.partition("=")
        if name not in names or not value:
            fail(f"--weights={text!r}: expected NAME=WEIGHTS, with NAME one of {', '.join(names)}")
        chosen[name] = _locate(Path(), value)
    return chosen


def _locate(folder: Path, weights: str) -> str:
    """Weights as they are, but a path in full."""
    from graft.config.features import BUNDLED, FILE, IMAGENET, RANDOM

    path = folder / Path(weights).expanduser()
    return (
        str(path.resolve()) if weights not in (BUNDLED, FILE, IMAGENET, RANDOM) and path.exists() else weights
    )


def _make_task(root: Path, manifest: Any, params: Any) -> "Task":
    from graft.features.engines.choice import choose_engine
    from graft.tuning.backbones import Task

    seen = manifest[manifest["split"] != "test"]
    engine, precision = choose_engine(params.engine, params.precision, (root / IMAGES).resolve(), seen)
    return Task(root, find_repo(root), seen, params, engine, precision)


def _measure(name: str, weights: str, task: "Task", bar: "Bar") -> None:
    """Measure a backbone and write what was found, unless that is there already."""
    from graft.tuning.backbones import describe_recipe, measure
    from graft.utils.belonging import read_values, write_values

    if name not in (known := task.params.backbones):
        near = ", ".join(get_close_matches(name, known) or known)
        raise ValueError(f"no such row of `backbones` in params.yaml; there is {near}")
    counted = 0

    def advance(n: int) -> None:
        nonlocal counted
        counted += n
        bar.advance(n)

    try:
        before = read_values(task.root, BACKBONES).get(name)
        if before and before["recipe"] == describe_recipe(name, weights, task):
            typer.echo(f"{name}: measured before")
            return
        row = measure(name, weights, task, advance)
        write_values(task.root, BACKBONES / f"{name}.json", row, [MANIFEST])
        typer.echo(f"{name}: {row['embedded']:,} of {len(task.rows):,} images embedded")
    finally:
        bar.advance(len(task.rows) - counted)


def _print(rows: Sequence[Mapping[str, Any]], n_images: int, confidence: float) -> None:
    from graft.report.backbones import TESTS, describe, tabulate
    from graft.report.terminal import build_table

    table = tabulate(rows, confidence)
    Console().print(build_table(table, table.names))
    typer.echo(f"{n_images:,} images of train and validation; * best of its column. {TESTS}\n")
    for sentence in describe(rows, confidence):
        typer.echo(sentence)
    weights = quote(f"weights={rows[0]['weights']}")
    typer.echo(f"take it: graft run -S backbone={rows[0]['backbone']} -S {weights}")
